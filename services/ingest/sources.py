"""The sources that this process accepts events from."""

from collections.abc import Iterable

from services.ingest.domain.source import Source
from shared.http.keys import KeyEntry, KeyRing, Role
from shared.http.problems import ProblemError


class SourceDirectory:
    """Sources by the keys that they send, and by name."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._named: dict[str, Source] = {}
        for entry in keys.entries:
            if entry.role is Role.SOURCE:
                self._named[entry.name] = _source(entry, self._named.get(entry.name))

    def named(self, name: str) -> Source | None:
        """Return the source of this name."""
        return self._named.get(name)

    def authorised(self, keys: Iterable[str]) -> Source:
        """Return the source that the first known key belongs to. Raises a 401 or 403 problem."""
        other = None
        for key in keys:
            principal = self._keys.find(key)
            if principal is not None and principal.role is Role.SOURCE:
                return self._named[principal.name]
            other = other or principal
        if other is not None:
            raise ProblemError(403, "forbidden", f"A {other.role} key may not send events; it takes that of a source.")
        raise ProblemError(
            401,
            "unauthorized",
            "Send the write key of a source: by Basic or Bearer authorization, or as `writeKey`.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},  # Basic would have a browser ask its visitor
        )


def _source(entry: KeyEntry, before: Source | None) -> Source:
    """Return the source of an entry; two entries of one name are one source whose key is being rotated."""
    secrets = before.secrets if before else ()
    if entry.secret and entry.secret not in secrets:
        secrets += (entry.secret,)
    return Source(
        name=entry.name,
        kind=entry.kind or "web",
        provider=entry.provider or (before.provider if before else ""),
        secrets=secrets,
        mapping=entry.mapping or (before.mapping if before else ""),
    )

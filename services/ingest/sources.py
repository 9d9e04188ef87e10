"""The sources that this process accepts events from."""

from collections.abc import Iterable

from services.ingest.domain.source import Source
from shared.http.keys import KeyRing, Role
from shared.http.problems import ProblemError


class SourceDirectory:
    """Sources by the keys that they send."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def authorised(self, keys: Iterable[str]) -> Source:
        """Return the source that the first known key belongs to. Raises a 401 or 403 problem."""
        other = None
        for key in keys:
            principal = self._keys.find(key)
            if principal is not None and principal.role is Role.SOURCE:
                return Source(name=principal.name, kind=principal.kind or "web")
            other = other or principal
        if other is not None:
            raise ProblemError(403, "forbidden", f"A {other.role} key may not send events; it takes that of a source.")
        raise ProblemError(
            401,
            "unauthorized",
            "Send the write key of a source: by Basic or Bearer authorization, or as `writeKey`.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},  # Basic would have a browser ask its visitor
        )

"""The sources that this process accepts events from: those of the keys file, and those of the database.

What the database says is held in memory, so that known keys are accepted while it is away. Where both name a source,
the file's counts.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from services.ingest.domain.source import Source
from services.ingest.domain.source_key import SourceKey, digest_of
from services.ingest.intake.hooks.providers import problems_of
from shared.clock import Clock, utc_now
from shared.http.keys import KeyEntry, KeyRing, KeysError, Role
from shared.http.problems import ProblemError


class Book(msgspec.Struct, frozen=True):
    """What the database said at one time."""

    sources: Mapping[str, Source] = {}
    keys: Mapping[bytes, tuple[SourceKey, str]] = {}  # by digest, with the name of their source
    sealed: frozenset[str] = frozenset()  # names of sources whose secrets cannot be read here
    largest_body: int = 0  # bytes, of all that the sources may send


NOTHING_STORED = Book()


class SourcesUnread(OSError):
    """Raised for what cannot be known before the database has been read, so what needs it waits like for a server."""


class SourceDirectory:
    """Sources by the keys that they send, and by name."""

    def __init__(self, keys: KeyRing, *, book: Book | None = NOTHING_STORED, clock: Clock = utc_now) -> None:
        """Begin with the sources of the file, and what is known of the database; None when it is yet to be read.

        Raise KeysError where the provider, the secret or the mapping of a source in the file cannot be used.
        """
        self._keys = keys
        self._book = book
        self._clock = clock
        self._in_file: dict[str, Source] = {}
        for entry in keys.entries:
            if entry.role is Role.SOURCE:
                self._in_file[entry.name] = _source(entry, self._in_file.get(entry.name))
        for source in self._in_file.values():
            if problems := problems_of(source):
                raise KeysError(f"The source {source.name!r} in the keys file: {problems[0]}")

    @property
    def known(self) -> bool:
        """Whether the database has been read."""
        return self._book is not None

    @property
    def largest_body(self) -> int:
        """The most bytes that any source of the database may send at once."""
        return self._book.largest_body if self._book else 0

    def learn(self, book: Book) -> None:
        """Take over what the database says now."""
        self._book = book

    def in_file(self) -> Mapping[str, Source]:
        """Return the sources of the keys file by name."""
        return self._in_file

    def all(self) -> Iterator[Source]:
        """Yield every source that is known."""
        stored = self._book.sources if self._book else {}
        yield from {**stored, **self._in_file}.values()

    def named(self, name: str) -> Source | None:
        """Return the source of this name. Raises a 503 problem while it cannot be known, or not its secrets."""
        source = self._in_file.get(name)
        if source is not None:
            return source
        if self._book is None:
            raise _not_known_yet()
        if name in self._book.sealed:
            raise ProblemError(
                503,
                "secret_unreadable",
                f"The secret of the source {name!r} cannot be read here: TANDEM_SECRET_KEY lacks its key.",
            )
        return self._book.sources.get(name)

    def find(self, keys: Iterable[str]) -> Source | None:
        """Return the source that the first known key belongs to, whether or not it may send."""
        found, _ = self._find(keys)
        return found

    def mapping_of(self, name: str) -> str:
        """Return the mapping of the source of this name, or "" when it has none. Raises SourcesUnread."""
        source = self._in_file.get(name)
        if source is None:
            if self._book is None:
                raise SourcesUnread("the sources have not been read")
            source = self._book.sources.get(name)
        return source.mapping if source else ""

    def authorised(self, keys: Iterable[str]) -> Source:
        """Return the source that the first known key belongs to. Raises a 401, 403 or 503 problem."""
        source, other = self._find(keys)
        if source is not None:
            require_enabled(source)
            return source
        if other is not None:
            raise ProblemError(403, "forbidden", f"A key of {other} may not send events; it takes that of a source.")
        if self._book is None:
            raise _not_known_yet()  # a 401 would have the sender drop what it may send
        raise ProblemError(
            401,
            "unauthorized",
            "Send the write key of a source: by Basic or Bearer authorization, or as `writeKey`.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},  # Basic would have a browser ask its visitor
        )

    def _find(self, keys: Iterable[str]) -> tuple[Source | None, Role | None]:
        other = None
        for key in keys:
            principal = self._keys.find(key)
            if principal is None:
                if source := self._stored(key):
                    return source, None
            elif principal.role is Role.SOURCE:
                return self._in_file[principal.name], None
            else:
                other = other or principal.role
        return None, other

    def _stored(self, key: str) -> Source | None:
        if self._book is None or (found := self._book.keys.get(digest_of(key))) is None:
            return None
        known, name = found
        return (self._in_file.get(name) or self._book.sources[name]) if known.holds(self._clock()) else None


def require_enabled(source: Source) -> None:
    """Raise a 403 problem for a source that was disabled: no SDK sends again what was answered so."""
    if source.disabled_at is not None:
        raise ProblemError(
            403, "source_disabled", f"The source {source.name!r} is disabled. Stop sending, or have it enabled again."
        )


def _not_known_yet() -> ProblemError:
    return ProblemError(
        503,
        "sources_unknown",
        "The sources have not been read from the database yet. Send the events again.",
        headers={"Retry-After": "2"},
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

"""A source: a system that sends events."""

import msgspec

from shared.events.touch import SourceKind


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source when it sends something."""

    name: str
    kind: SourceKind

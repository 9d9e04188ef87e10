"""A source: a system that sends events."""

import msgspec

from shared.events.touch import SourceKind


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source when it sends something."""

    name: str
    kind: SourceKind
    provider: str = ""  # whose webhooks it sends; "" where it is none of the known
    secrets: tuple[str, ...] = ()  # any of them may have signed: the current one, and the previous while it is rotated
    mapping: str = ""  # JSON or YAML: how a provider that is not known is to be understood

"""A source: a system that sends events, and what it may send."""

from datetime import datetime

import msgspec

from shared.events.touch import SourceKind

MAX_NAME_CHARACTERS = 200


def clean_source(stated: str) -> str:
    """Return the name of a source as another producer gives it; "" where that is none."""
    return stated.replace("\0", "").strip()[:MAX_NAME_CHARACTERS]


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a source may send; None leaves it to the settings."""

    rate: float | None = None  # events a second
    burst: int | None = None  # events at once, after a pause
    daily_quota: int | None = None  # events of one UTC day
    max_body_bytes: int | None = None
    max_batch_events: int | None = None

    def over(self, settings: "Allowance") -> "Allowance":
        """Return this allowance with the gaps filled from the settings."""
        return Allowance(
            **{
                field: own if (own := getattr(self, field)) is not None else getattr(settings, field)
                for field in self.__struct_fields__
            }
        )


NO_ALLOWANCE = Allowance()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source when it sends something."""

    name: str
    kind: SourceKind
    provider: str = ""  # whose webhooks it sends; "" where it is none of the known
    secrets: tuple[str, ...] = ()  # any of them may have signed: the current one, and the previous while it is rotated
    mapping: str = ""  # JSON or YAML: how a provider that is not known is to be understood
    requires_consent: str = ""  # the purpose that each event has to carry consent for; "" where none
    disabled_at: datetime | None = None
    allowance: Allowance = NO_ALLOWANCE

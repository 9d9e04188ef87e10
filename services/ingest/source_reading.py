"""What somebody asks of a source, as JSON: only what is known, and only what can be kept."""

from typing import Annotated, Any

import msgspec

from services.ingest.domain.source import Allowance
from shared.events.touch import SourceKind
from shared.http.problems import ProblemError

MAX_BODY = 200_000

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Provider = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_-]{0,50}\Z")]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=5_000)]
Secrets = Annotated[list[Secret], msgspec.Meta(max_length=5)]
Mapping = Annotated[str, msgspec.Meta(max_length=100_000)]
Purpose = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._ -]{0,100}\Z")]
Rate = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]  # less would be a wait that no header can name
Burst = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Quota = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
BodyBytes = Annotated[int, msgspec.Meta(ge=1_000, le=2_000_000)]
BatchEvents = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class NewSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source to add."""

    name: Name
    kind: SourceKind
    provider: Provider = ""
    secrets: Secrets = []
    mapping: Mapping = ""
    requires_consent: Purpose = ""
    rate: Rate | None = None
    burst: Burst | None = None
    daily_quota: Quota | None = None
    max_body_bytes: BodyBytes | None = None
    max_batch_events: BatchEvents | None = None

    def allowance(self) -> Allowance:
        """Return what the source may send."""
        return Allowance(**{field: getattr(self, field) for field in Allowance.__struct_fields__})


class SourceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a source; what is absent stays, null leaves a limit to the settings again."""

    provider: Provider | msgspec.UnsetType = msgspec.UNSET
    secrets: Secrets | msgspec.UnsetType = msgspec.UNSET
    mapping: Mapping | msgspec.UnsetType = msgspec.UNSET
    requires_consent: Purpose | msgspec.UnsetType = msgspec.UNSET
    rate: Rate | msgspec.UnsetType | None = msgspec.UNSET
    burst: Burst | msgspec.UnsetType | None = msgspec.UNSET
    daily_quota: Quota | msgspec.UnsetType | None = msgspec.UNSET
    max_body_bytes: BodyBytes | msgspec.UnsetType | None = msgspec.UNSET
    max_batch_events: BatchEvents | msgspec.UnsetType | None = msgspec.UNSET

    def values(self) -> dict[str, Any]:
        """Return what is to be set."""
        given = {field: getattr(self, field) for field in self.__struct_fields__}
        return {field: value for field, value in given.items() if value is not msgspec.UNSET}


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old keys still open: a duration such as `24h`; null leaves it to the settings."""

    overlap: str | None = None


def check_storable(source: NewSource | SourceChange) -> None:
    """Raise a 422 problem for a text that PostgreSQL cannot keep."""
    texts = [source.mapping] if isinstance(source.mapping, str) else []
    if any("\0" in text for text in texts):
        raise ProblemError(422, "invalid_request", "Write the mapping without the character NUL.")

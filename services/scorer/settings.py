"""Settings of the scorer."""

from datetime import timedelta

from pydantic import Field

from shared.settings import Duration, SharedSettings


class ScorerSettings(SharedSettings):
    """What the scorer needs to know."""

    port: int = Field(default=8081, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    score_records: int = Field(
        default=5_000,
        ge=1,
        le=50_000,
        description="Records scored in one transaction; one that reaches 3 MiB, some 5,000 touches, ends sooner.",
    )
    cooling_every: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        description="How often contacts that cooled down are re-armed.",
    )
    repricing_every: Duration = Field(
        default=timedelta(seconds=2),
        ge=timedelta(milliseconds=100),
        description="How often contacts are looked for that a new agreement has not been applied to.",
    )

"""Settings of the scorer."""

from datetime import timedelta

from pydantic import Field

from services.scorer.domain.suspicion import Limits
from shared.settings import Duration, SharedSettings


class ScorerSettings(SharedSettings):
    """What the scorer needs to know."""

    port: int = Field(default=8081, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    score_records: int = Field(
        default=5_000,
        ge=1,
        le=50_000,
        description="Records scored in one transaction; it ends sooner at 4 MiB over all members, some 7,000 touches.",
    )
    score_members: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Members of its consumer group that a process is: one computes while another waits for PostgreSQL."
        " Unless given, 2 on Kafka and 1 on the log in PostgreSQL, which wakes all of them at each append.",
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
    accounts_every: Duration = Field(
        default=timedelta(seconds=1),
        ge=timedelta(milliseconds=10),
        description="How often accounts are looked at of which somebody did something; under load less often, so that"
        " it takes at most a twentieth of the time.",
    )
    simulating_every: Duration = Field(
        default=timedelta(seconds=2),
        ge=timedelta(milliseconds=100),
        description="How often a simulation is looked for that somebody asked another process for.",
    )
    suspect_after_delivery: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="A link clicked sooner than this after the mail's delivery counts nothing; 0 switches that off.",
    )
    suspect_two_links_within: Duration = Field(
        default=timedelta(seconds=1),
        ge=timedelta(0),
        le=timedelta(minutes=1),
        description="Two distinct links clicked in less than this count nothing; 0 switches that off.",
    )
    suspect_three_links_within: Duration = Field(
        default=timedelta(seconds=2),
        ge=timedelta(0),
        le=timedelta(minutes=1),
        description="Three or more distinct links clicked in less than this count nothing; 0 switches that off.",
    )

    def limits(self) -> Limits:
        """Return what nobody does by hand."""
        return Limits(
            after_delivery=self.suspect_after_delivery,
            bursts=((2, self.suspect_two_links_within), (3, self.suspect_three_links_within)),
        )

"""Settings of the router."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from services.router.domain.addresses import Network, parse_network
from services.router.domain.breaker import BreakerPolicy
from services.router.domain.retry import RetryPolicy
from shared.settings import Duration, SharedSettings, listed


def _network(value: object) -> object:
    return parse_network(value) if isinstance(value, str) else value


Pauses = Annotated[tuple[Duration, ...], NoDecode, BeforeValidator(listed)]
Networks = Annotated[tuple[Annotated[Network, BeforeValidator(_network)], ...], NoDecode, BeforeValidator(listed)]


class RouterSettings(SharedSettings):
    """What the router needs to know."""

    port: int = Field(default=8082, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        default=None, description="URL under which reps reach this API, for links in webhooks. Absent: host and port."
    )
    delivery_allowed_networks: Networks = Field(
        default=(),
        description="Networks besides the public internet that webhooks may go to, as 10.20.0.0/16,127.0.0.0/8.",
    )
    delivery_deadline: Duration = Field(
        default=timedelta(seconds=15),
        gt=timedelta(),
        le=timedelta(minutes=2),
        description="Time for one attempt from name resolution to the end of the answer.",
    )
    delivery_lease: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        le=timedelta(hours=1),
        description="Time after which a delivery whose process died is sent again; longer than the deadline.",
    )
    delivery_retries: Pauses = Field(
        default=tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 36000)),
        description="Pauses between attempts, as 5s,5m,30m; after the last a delivery is dead until it is replayed.",
    )
    delivery_jitter: float = Field(
        default=0.2, ge=0, le=1, description="Fraction of a pause that chance adds to it, so that retries spread."
    )
    delivery_patience: Duration = Field(
        default=timedelta(hours=1),
        ge=timedelta(),
        le=timedelta(days=1),
        description="Longest pause that a receiver's Retry-After is granted.",
    )
    delivery_deferral: Duration = Field(
        default=timedelta(days=3),
        ge=timedelta(),
        le=timedelta(days=30),
        description="How long a receiver may put a delivery off with 429 before that counts as failing.",
    )
    breaker_failures: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Failures in a row after which nothing is sent to an endpoint for a while.",
    )
    breaker_pause: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        le=timedelta(hours=1),
        description="The first such while; each other is twice as long, up to 10m, if the one attempt between fails.",
    )
    endpoint_patience: Duration = Field(
        default=timedelta(days=5),
        gt=timedelta(),
        le=timedelta(days=90),
        description="Time of nothing but failures after which an endpoint is disabled.",
    )
    delivery_concurrency: int = Field(
        default=256, ge=1, le=5000, description="Attempts that one process makes at once."
    )
    delivery_endpoint_concurrency: int = Field(
        default=16, ge=1, le=500, description="Attempts that one process makes at once to one endpoint."
    )
    crm_search_lag: Duration = Field(
        default=timedelta(minutes=2),
        ge=timedelta(),
        le=timedelta(hours=1),
        description="Time for which the search of Pipedrive or Close may not know a record that was just made; "
        "after an answer that was lost, none is made for so long.",
    )
    link_lifetime: Duration = Field(
        default=timedelta(days=30),
        gt=timedelta(),
        le=timedelta(days=3650),
        description="Time for which the links in a message answer; they need TANDEM_SECRET_KEY.",
    )
    sweep_interval: Duration = Field(
        default=timedelta(seconds=15),
        gt=timedelta(),
        le=timedelta(minutes=5),
        description="How often the queue of handoffs without a rep is looked at, besides when something changed "
        "or somebody comes on duty.",
    )

    @model_validator(mode="after")
    def _lease_outlives_attempt(self) -> Self:
        if self.delivery_lease <= self.delivery_deadline:
            raise ValueError("TANDEM_DELIVERY_LEASE must be longer than TANDEM_DELIVERY_DEADLINE")
        return self

    @property
    def retry_policy(self) -> RetryPolicy:
        """The schedule as the decision takes it."""
        return RetryPolicy(
            pauses=self.delivery_retries,
            jitter=self.delivery_jitter,
            patience=self.delivery_patience,
            longest_deferral=self.delivery_deferral,
        )

    @property
    def breaker_policy(self) -> BreakerPolicy:
        """When an endpoint gets nothing for a while, as the decision takes it."""
        return BreakerPolicy(
            failures=self.breaker_failures,
            pause=self.breaker_pause,
            longest_pause=max(timedelta(minutes=10), self.breaker_pause),
            disable_after=self.endpoint_patience,
        )

    @property
    def api_url(self) -> str:
        """The URL under which reps reach the API."""
        return self.public_url or f"http://{self.host}:{self.port}"

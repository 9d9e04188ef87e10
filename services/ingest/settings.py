"""Settings of ingest."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from shared.events.topics import TopicName
from shared.events.touch import SourceKind
from shared.settings import Duration, Listed, SharedSettings

_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_OWN = frozenset(TopicName)


def _extra_topics(value: object) -> object:
    """Read `name=kind,name=kind`. Raises ValueError that says what is wrong."""
    pairs: dict[str, str] = {}
    if not isinstance(value, str):
        return value
    for part in filter(None, (part.strip() for part in value.split(","))):
        name, _, kind = (piece.strip() for piece in part.partition("="))
        if not _TOPIC.fullmatch(name):
            raise ValueError(f"{part!r} begins with no name of a topic; write name=web or name=campaign")
        if kind not in {"web", "campaign"}:
            raise ValueError(f"{part!r} has no kind; write {name}=web or {name}=campaign")
        if name in _OWN:
            raise ValueError(f"{name} is Tandem's own topic; leave it out")
        if name in pairs:
            raise ValueError(f"{name} is named twice")
        pairs[name] = kind
    return tuple(pairs.items())


ExtraTopics = Annotated[tuple[tuple[str, SourceKind], ...], NoDecode, BeforeValidator(_extra_topics)]


class IngestSettings(SharedSettings):
    """What ingest needs to know."""

    max_body_bytes: int = Field(
        default=512_000,
        ge=1_000,
        le=2_000_000,
        description="Bytes of a request's body, inflated, above which it is refused.",
    )
    max_batch_events: int = Field(
        default=2_500, ge=1, le=100_000, description="Events in one request above which it is refused."
    )
    source_rate: float | None = Field(
        default=None,
        ge=0.001,
        le=1_000_000,
        description="Events a second that each process takes from a source without a rate of its own. Absent: any.",
    )
    source_burst: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Events that such a source may send at once after a pause. Absent: those of a second.",
    )
    source_daily_quota: int | None = Field(
        default=None,
        ge=1,
        description="Events a day (UTC) taken from a source without a quota of its own. Absent: any.",
    )
    source_refresh: Duration = Field(
        default=timedelta(seconds=1),
        ge=timedelta(milliseconds=50),
        le=timedelta(seconds=10),
        description="How often a process looks for changed sources and adds up what they have sent.",
    )
    key_overlap: Duration = Field(
        default=timedelta(hours=24),
        ge=timedelta(),
        le=timedelta(days=90),
        description="How long the old keys of a source still open after a rotation that does not say.",
    )
    max_requests_in_flight: int = Field(
        default=512, ge=1, le=100_000, description="Requests that wait for the log at once; more are refused."
    )
    max_bytes_in_flight: int = Field(
        default=64 << 20, ge=4 << 20, description="Bytes of bodies held at once; more are refused."
    )
    max_event_bytes: int = Field(
        default=65_536,
        ge=1_000,
        le=200_000,
        description="Bytes of one event, its batch's context included, above which it is kept as rejected.",
    )
    allowed_skew: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(),
        le=timedelta(days=1),
        description="How far ahead of its receipt an event may claim to have happened; beyond, its receipt counts.",
    )
    understand_members: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Members of its consumer group that a process is: one computes while another waits for the log."
        " Unless given, 2 on Kafka and 1 on the log in PostgreSQL, which wakes all of them at each append."
        " 0: the process only accepts; others have to understand.",
    )
    understand_events: int = Field(
        default=5_000, ge=1, le=50_000, description="Events whose aliases are looked up in one transaction."
    )
    honeypot_paths: Listed = Field(
        default=(), description="Paths of links that no person sees, as /trap,/trap/*; who follows one is a machine."
    )
    bot_user_agents: Listed = Field(
        default=(), description="User agents of machines besides those known, as *barracuda*,acme-monitor/*."
    )
    rejected_retention: Duration = Field(
        default=timedelta(days=30),
        ge=timedelta(hours=1),
        le=timedelta(days=3650),
        description="How long a rejection is kept after it was last seen.",
    )
    replay_rate: int = Field(
        default=500, ge=1, le=100_000, description="Rejections replayed in a second, by all processes together."
    )
    extra_topics: ExtraTopics = Field(
        default=(),
        description="Topics of others to read too, with the kind of source, as shop.orders=web,mails=campaign.",
    )
    placeholder_ids: Listed = Field(
        default=(),
        description="User and anonymous ids that name nobody, as test,demo-user, besides those that are known as such.",
    )
    max_anonymous_ids: int = Field(
        default=500,
        ge=1,
        le=5_000,
        description="Anonymous ids of one contact; beyond, events keep their contact and no more ids are linked to it.",
    )

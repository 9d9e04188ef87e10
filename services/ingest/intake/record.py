"""A record of `events.*`, by whoever wrote it: what it came as, where it came from, and the events in it."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.ingest.domain.consent import bare_opt_out, consents
from services.ingest.domain.event import Event, Origin
from services.ingest.domain.instants import read_instant
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.source import clean_source
from services.ingest.intake import cloudevents, posthog, segment, snowplow
from services.ingest.intake.fields import TYPES, Limits
from services.ingest.intake.hooks.mapping import Expression, MappingError, compile_consent
from services.ingest.intake.hooks.providers import HOOKS, Provider
from services.ingest.intake.hooks.reading import Reading
from services.ingest.intake.payload import check_size, repaired
from shared.events.rejected import ATTEMPT_HEADER, PLACE_HEADER, UNREADABLE_HEADER, Place, read_attempt, read_place
from shared.events.topics import TopicName
from shared.events.touch import SourceKind

SOURCE_HEADER = "tandem-source"
KIND_HEADER = "tandem-kind"
INTAKE_HEADER = "tandem-intake"
CONSENT_HEADER = "tandem-consent"
DISABLED_HEADER = "tandem-disabled"  # of what was taken from a disabled source only to be set aside
RECEIVED_AT_HEADER = "tandem-received-at"
SENT_AT_HEADER = "tandem-sent-at"  # where a request said so beside its body
QUERY_HEADER = "tandem-query"  # where a query string goes with the body
USER_AGENT_HEADER = "tandem-user-agent"  # of the request, where it may be the person's own
TRACE_HEADER = "traceparent"

# The topics of events that are Tandem's own, each with the kind of source that it is for.
OWN_TOPICS: Mapping[str, SourceKind] = {TopicName.EVENTS_WEB: "web", TopicName.EVENTS_CAMPAIGN: "campaign"}

FOREIGN_SOURCE = "kafka"  # of records that another producer wrote there without saying who it is
MAX_RECORD_BYTES = 4 << 20  # as on Tandem's own topics; those of others may take more
MOST_AHEAD = timedelta(minutes=5)  # of the clocks of two machines
LONG_AGO = timedelta(days=30)  # a decision as of then would find all that came since undecayed
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before this no clock was set
UNKEPT = "Its source requires consent, so its bytes are not kept."

HOOK_PREFIX = "hook."

# From the name of a source to its mapping as it is now, so that what is replayed meets the corrected one.
MappingOf = Callable[[str], str]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Intake(StrEnum):
    """The protocols, each with the form that its bytes have."""

    SEGMENT_TRACK = "segment.track"
    SEGMENT_PAGE = "segment.page"
    SEGMENT_SCREEN = "segment.screen"
    SEGMENT_IDENTIFY = "segment.identify"
    SEGMENT_GROUP = "segment.group"
    SEGMENT_ALIAS = "segment.alias"
    SEGMENT_CALL = "segment.call"  # one call that says its type itself
    SEGMENT_BATCH = "segment.batch"
    SEGMENT_IMPORT = "segment.import"
    CLOUDEVENTS_STRUCTURED = "cloudevents.structured"
    CLOUDEVENTS_BINARY = "cloudevents.binary"
    CLOUDEVENTS_BATCH = "cloudevents.batch"
    POSTHOG = "posthog"
    SNOWPLOW_PAYLOAD = "snowplow.payload"
    SNOWPLOW_QUERY = "snowplow.query"
    HOOK_SENDGRID = "hook.sendgrid"
    HOOK_MAILGUN = "hook.mailgun"
    HOOK_POSTMARK = "hook.postmark"
    HOOK_MAILCHIMP = "hook.mailchimp"
    HOOK_MANDRILL = "hook.mandrill"
    HOOK_HUBSPOT = "hook.hubspot"
    HOOK_CUSTOMERIO = "hook.customerio"
    HOOK_MAUTIC = "hook.mautic"
    HOOK_TYPEFORM = "hook.typeform"
    HOOK_CALENDLY = "hook.calendly"
    HOOK_GENERIC = "hook.generic"


def hook_intake(provider: Provider) -> Intake:
    """Return what a provider's requests are stored as."""
    return Intake(f"{HOOK_PREFIX}{provider}")


def unmapped(source: str) -> str:  # noqa: ARG001  # the form that a lookup has
    """Return that the source has no mapping."""
    return ""


def text_headers(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return the headers as text by lower-case name, the first of each."""
    texts: dict[str, str] = {}
    for name, value in headers:
        # What is no UTF-8 stays apart from everything else: an id may be among it.
        texts.setdefault(name.lower(), value.decode("utf-8", "backslashreplace") if value else "")
    return texts


def is_tombstone(headers: Mapping[str, str], *, is_null: bool) -> bool:
    """Tell whether a record says nothing but that its key is gone. A CloudEvent without data has no value, too."""
    return is_null and not any(name.startswith("ce_") for name in headers)


def origin_of(
    headers: Mapping[str, str],
    *,
    topic: str,
    partition: int,
    offset: int,
    appended_at: datetime,
    now: datetime,
    kinds: Mapping[str, SourceKind] = OWN_TOPICS,
) -> Origin:
    """Return where the record came from; where its headers do not say it, the log does.

    Anybody who may write to the topic may write these headers. They can say nothing that a record of the same producer
    could not be anyway: a time is believed only where it can be true, a place only where a replay could have put it.
    """
    stood_at = Place(topic, partition, offset)
    replayed = _replayed_from(headers, stood_at, kinds)
    place = replayed or stood_at
    kind = headers.get(KIND_HEADER)
    if kind not in {"web", "campaign"}:
        kind = kinds.get(place.topic, "web")
    source = clean_source(headers.get(SOURCE_HEADER, ""))
    received_at = _received_at(headers.get(RECEIVED_AT_HEADER), appended_at, now)
    return Origin(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        item=place.item,
        attempt=read_attempt(headers.get(ATTEMPT_HEADER)) if replayed else 0,
        source=source or (place.topic if place.topic in kinds.keys() - OWN_TOPICS.keys() else FOREIGN_SOURCE),
        is_named=bool(source),
        kind="campaign" if kind == "campaign" else "web",
        received_at=received_at,
        as_of=now if received_at < now - LONG_AGO else None,
        traceparent=read_traceparent(headers.get(TRACE_HEADER, "")),
        requires_consent=headers.get(CONSENT_HEADER, ""),
    )


def read_traceparent(value: str) -> str | None:
    """Return the W3C trace context, or None when it is not one."""
    return value if _TRACEPARENT.fullmatch(value) else None


def read_record(
    value: bytes, headers: Mapping[str, str], origin: Origin, limits: Limits, *, mapping_of: MappingOf = unmapped
) -> list[Event | Rejection]:
    """Return what is in the record: each item an event or a rejection, whatever the bytes are."""
    items = _read_items(value, headers, origin, limits, mapping_of)
    if not origin.requires_consent:
        return items
    purpose = origin.requires_consent
    if headers.get(INTAKE_HEADER, "").startswith(HOOK_PREFIX):
        advice = "Say in the mapping of its source, as `consent`, where its webhooks carry the consent."
    else:
        advice = f"Send events of this source with `context.consent.categoryPreferences.{purpose}`: true."
    return [_with_consent(item, number, purpose, advice) for number, item in enumerate(items)]


def _with_consent(item: Event | Rejection, number: int, purpose: str, advice: str) -> Event | Rejection:
    """Let an event with consent pass, and the wish to be left alone, which needs none.

    Of anything else no bytes are kept, since nothing shows that they may be.
    """
    if isinstance(item, Rejection):
        return Rejection(item.reason, f"{item.reason.meaning} {UNKEPT}", b"", item.item)
    if consents(item, purpose):
        return item
    return bare_opt_out(item) or Rejection(Reason.NO_CONSENT, f"{advice} {UNKEPT}", b"", number)


def _read_items(
    value: bytes, headers: Mapping[str, str], origin: Origin, limits: Limits, mapping_of: MappingOf
) -> list[Event | Rejection]:
    if DISABLED_HEADER in headers:
        return [Rejection(Reason.SOURCE_DISABLED, "Its source was disabled. Replay it to have it count.", value)]
    if UNREADABLE_HEADER in headers:
        return [Rejection(Reason.UNREADABLE, headers[UNREADABLE_HEADER], value)]
    try:
        check_size(len(value), MAX_RECORD_BYTES)
        body = repaired(value)
        intake = _intake_of(body, headers)
        if not intake.startswith(HOOK_PREFIX):
            return _read_protocol(intake, body, headers, origin, limits)
        is_generic = intake is Intake.HOOK_GENERIC
        reading = Reading(
            origin=origin,
            limits=limits,
            content_type=headers.get("content-type", ""),
            mapping=mapping_of(origin.source) if is_generic else "",
            consent=_consent(mapping_of(origin.source)) if origin.requires_consent and not is_generic else None,
        )
        return HOOKS[Provider(intake.removeprefix(HOOK_PREFIX))].read(body, reading)
    except Refused as refused:
        return [Rejection(refused.reason, refused.message, value)]


def _consent(mapping: str) -> Expression | None:
    try:
        return compile_consent(mapping)
    except MappingError as error:
        raise Refused(Reason.NOT_MAPPED, f"The mapping of its source is wrong. {error.problems[0]}") from None


def _read_protocol(
    intake: Intake, body: bytes, headers: Mapping[str, str], origin: Origin, limits: Limits
) -> list[Event | Rejection]:
    match intake:
        case Intake.SEGMENT_BATCH | Intake.SEGMENT_IMPORT:
            return segment.read_batch(body, origin, limits)
        case Intake.SEGMENT_CALL:
            return [segment.read_call(body, None, origin, limits)]
        case Intake.CLOUDEVENTS_STRUCTURED:
            return [cloudevents.read_structured(body, origin, limits)]
        case Intake.CLOUDEVENTS_BATCH:
            return cloudevents.read_batch(body, origin, limits)
        case Intake.CLOUDEVENTS_BINARY:
            return [cloudevents.read_binary(body, headers, origin, limits)]
        case Intake.POSTHOG:
            sent_at = headers.get(SENT_AT_HEADER, "")
            return posthog.read_events(body, sent_at=sent_at, origin=origin, limits=limits)
        case Intake.SNOWPLOW_PAYLOAD:
            query, agent = headers.get(QUERY_HEADER, ""), headers.get(USER_AGENT_HEADER, "")
            return snowplow.read_payload(body, query=query, user_agent=agent, origin=origin, limits=limits)
        case Intake.SNOWPLOW_QUERY:
            agent = headers.get(USER_AGENT_HEADER, "")
            return [snowplow.read_query(body, user_agent=agent, origin=origin, limits=limits)]
        case call:
            return [segment.read_call(body, TYPES[call.removeprefix("segment.")], origin, limits)]


def _intake_of(body: bytes, headers: Mapping[str, str]) -> Intake:
    stated = headers.get(INTAKE_HEADER)
    if stated is not None:
        try:
            return Intake(stated)
        except ValueError:
            pass  # written by a newer version: its form may still be one that the bytes tell
    content_type = headers.get("content-type", "").strip().lower()
    if content_type.startswith("application/cloudevents-batch"):
        return Intake.CLOUDEVENTS_BATCH
    if content_type.startswith("application/cloudevents"):
        return Intake.CLOUDEVENTS_STRUCTURED
    if "ce_specversion" in headers or "ce_id" in headers:
        return Intake.CLOUDEVENTS_BINARY
    return _looks_like(body)


def _looks_like(body: bytes) -> Intake:
    if body.lstrip()[:1] == b"[":
        return Intake.CLOUDEVENTS_BATCH
    keys = segment.top_level_keys(body)
    if "specversion" in keys:
        return Intake.CLOUDEVENTS_STRUCTURED
    return Intake.SEGMENT_BATCH if "batch" in keys else Intake.SEGMENT_CALL


def _replayed_from(headers: Mapping[str, str], stood_at: Place, kinds: Mapping[str, SourceKind]) -> Place | None:
    """Return where a replayed record first stood.

    Replays are written to Tandem's own topics, and after what they repeat. A place on a topic that is not read here
    would have what is rejected now replayed to that topic, where whoever wrote this may not write.
    """
    place = read_place(headers.get(PLACE_HEADER))
    if place is None or stood_at.topic in kinds.keys() - OWN_TOPICS.keys():
        return None
    if place.topic != stood_at.topic and place.topic not in kinds:
        return None
    same = (place.topic, place.partition) == (stood_at.topic, stood_at.partition)
    return None if same and place.offset >= stood_at.offset else place


def _received_at(stated: str | None, appended_at: datetime, now: datetime) -> datetime:
    """Return when the record was received: as stated, else when it was appended, else now."""
    claims: list[datetime] = []
    if stated is not None:
        with suppress(Refused):
            claims.append(read_instant(stated))
    claims.append(appended_at.astimezone(UTC))
    return next((claim for claim in claims if EARLIEST <= claim <= now + MOST_AHEAD), now)

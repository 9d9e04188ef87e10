"""PostHog's capture API, as its SDKs really speak it: one event, a list of them, or a batch.

PostHog has one id for everybody, `distinct_id`. Each is an anonymous alias here, and a user id besides once the event
says that it is one: `$identify` and `$set` are about users, a browser says `$is_identified`. What is only an anonymous
alias is weak, so an alias call in either direction links the same two names and never makes one of two users.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.instants import occurred_at
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.fields import Limits
from services.ingest.intake.payload import check, check_size, decode
from shared.events.touch import TouchType

TYPES: Mapping[str, TouchType] = {
    "$pageview": TouchType.PAGE,
    "$screen": TouchType.SCREEN,
    "$identify": TouchType.IDENTIFY,
    "$set": TouchType.IDENTIFY,
    "$set_once": TouchType.IDENTIFY,
    "$create_alias": TouchType.ALIAS,
    "$merge_dangerously": TouchType.ALIAS,
    "$groupidentify": TouchType.GROUP,
}
# What pages and SDKs tell of themselves: nobody did anything, so it only tells who is there.
MEASUREMENTS = frozenset(
    "$pageleave $web_vitals $feature_flag_called $exception $snapshot $$heatmap $performance_event $opt_in"
    " $$client_ingestion_warning $csp_violation".split()
)
ABOUT_USERS = frozenset({"$identify", "$set", "$set_once"})
# Groups may be anything; these are what Tandem calls an account.
ACCOUNT_TYPES = frozenset({"account", "business", "client", "company", "customer", "organisation", "organization"})

# Keys of the properties that are not facts about what happened; `token` is the write key.
_STRUCTURE = frozenset(
    "token api_key distinct_id alias $set $set_once $unset $anon_distinct_id $user_id $raw_user_agent"
    " $group_set".split()
)
_CAMPAIGN = {"utm_campaign": "name", **{f"utm_{field}": field for field in ("source", "medium", "term", "content")}}
# The forms of ids that SDKs make: browsers and apps those of a visitor, servers those of nobody.
_MADE_BY_BROWSERS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_MADE_BY_SERVERS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_YES = frozenset({"1", "true"})
_NO = frozenset({"0", "false"})


class _Standing(Enum):
    """What an event says of its distinct id."""

    USER = auto()
    VISITOR = auto()  # a browser or an app that knows nobody yet
    UNSAID = auto()  # from a server: it may be a user's id or a visitor's
    NOBODY = auto()  # made up for this one event


class _Item(msgspec.Struct, frozen=True, gc=False):
    event: Any = None
    uuid: Any = None
    distinct_id: Any = None
    properties: dict[str, Any] | None = None
    timestamp: Any = None
    offset: Any = None
    session_id: Any = None
    options: Any = None
    set: Any = msgspec.field(default=None, name="$set")
    set_once: Any = msgspec.field(default=None, name="$set_once")
    people_id: Any = msgspec.field(default=None, name="$distinct_id")


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw] | None = None
    sent_at: Any = None


_lists = msgspec.json.Decoder(list[msgspec.Raw])
_batches = msgspec.json.Decoder(_Batch)
_items = msgspec.json.Decoder(_Item)


def read_events(body: bytes, *, sent_at: str, origin: Origin, limits: Limits) -> list[Event | Rejection]:
    """Return what each event in the body is. Raises Refused when it cannot be told apart into events.

    `sent_at` is what the request said beside its body, or "".
    """
    stated: Any = None
    frame = b"", b""
    if body.lstrip()[:1] == b"[":
        items = decode(_lists, body)
        frame = b"[", b"]"
    else:
        batch = decode(_batches, body)
        stated = batch.sent_at
        if batch.batch is None:
            items = [msgspec.Raw(body)]
        else:
            items = batch.batch
            frame = b'{"batch":[', _after(stated)
    if not items:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event.")
    when = stated if stated is not None else sent_at or None
    return [_read(bytes(raw), item, when, origin, limits, frame=frame) for item, raw in enumerate(items)]


def _after(sent_at: Any) -> bytes:
    """Return what follows the last item of a batch; what is no text is no time, whatever else it is."""
    if sent_at is None:
        return b"]}"
    return b'],"sent_at":' + (msgspec.json.encode(sent_at) if isinstance(sent_at, str) else b"0") + b"}"


def _read(
    raw: bytes, number: int, sent_at: Any, origin: Origin, limits: Limits, *, frame: tuple[bytes, bytes]
) -> Event | Rejection:
    try:
        check_size(len(raw), limits.max_event_bytes)
        check(raw)
        item = decode(_items, raw)
        message_id = scalar_text(item.uuid).strip() or origin.unnamed(number)
        return _event(item, message_id, sent_at, origin, limits)
    except Refused as refused:
        return Rejection(refused.reason, refused.message, raw, number, frame)


def _event(item: _Item, message_id: str, sent_at: Any, origin: Origin, limits: Limits) -> Event:
    properties = item.properties or {}
    person = _object(item.set_once) | _object(properties.get("$set_once"))
    person |= _object(item.set) | _object(properties.get("$set"))
    name = scalar_text(item.event).strip() or ("$set" if person else "")  # /engage sends people without an event
    if not name:
        raise Refused(Reason.NO_EVENT_NAME, "Give each event its name in `event`.")
    kind = TouchType.IDENTIFY if name in MEASUREMENTS else TYPES.get(name, TouchType.TRACK)
    traits = {key: value for key, value in person.items() if not key.startswith("$")}
    names = _names(item, name, properties, traits)
    group_id = ""
    if kind is TouchType.GROUP:
        is_account = scalar_text(properties.get("$group_type")).strip().lower() in ACCOUNT_TYPES
        group_id = scalar_text(properties.get("$group_key")) if is_account else ""
        traits = _object(properties.get("$group_set")) if is_account else {}
    return Event(
        type=kind,
        message_id=message_id,
        occurred_at=occurred_at(
            timestamp=_timestamp(item, origin),
            original_timestamp=None,
            sent_at=None if _skew_is_right(item, properties) else sent_at,
            received_at=origin.received_at,
            allowed_skew=limits.allowed_skew,
        ),
        names=names,
        name=_name(kind, name, properties),
        group_id=group_id,
        properties=_facts(properties),
        traits=traits,
        page=_page(properties),
        campaign={ours: properties[theirs] for theirs, ours in _CAMPAIGN.items() if properties.get(theirs)},
        user_agent=scalar_text(properties.get("$raw_user_agent")),
    )


def _names(item: _Item, name: str, properties: dict[str, Any], traits: dict[str, Any]) -> Names:
    given = next(
        (
            value
            for value in (item.distinct_id, item.people_id, properties.get("distinct_id"))
            if value is not None and value != ""
        ),
        None,
    )
    distinct = _identifier(given)
    standing = _standing(item, name, properties, distinct)
    if standing is _Standing.NOBODY:
        raise Refused(
            Reason.NO_IDENTIFIER,
            "Its `distinct_id` was made up for this event alone: send the id of a person.",
        )
    second = ""
    if TYPES.get(name) is TouchType.ALIAS:
        second = _identifier(properties.get("alias"))
        if not (distinct and second):
            raise Refused(Reason.NO_IDENTIFIER, "Send an alias call with two ids, `distinct_id` and `alias`.")
    elif name == "$identify":
        second = _identifier(properties.get("$anon_distinct_id"))
    user = distinct if standing is _Standing.USER else ""
    email = read_email(traits.get("email")) or read_email(distinct) or read_email(second)
    if not email and standing is _Standing.VISITOR:
        email = read_email(properties.get("email"))  # a form tells who filled it in; a user may write of others
    if not (distinct or second or email):
        raise Refused(Reason.NO_IDENTIFIER, "Send a `distinct_id` that names one person, at most 256 characters long.")
    first, last = sorted((distinct, second))  # an alias is the same in either direction
    return Names(user=user, email=email, anonymous=last, other=first)


def _standing(item: _Item, name: str, properties: dict[str, Any], distinct: str) -> _Standing:
    device = properties.get("$device_id")
    identified = _flag(properties.get("$is_identified"))
    if identified or name == "$identify" or (distinct and read_identifier(properties.get("$user_id")) == distinct):
        return _Standing.USER
    if identified is False or (device and read_identifier(device) == distinct):
        return _Standing.VISITOR
    if name in ABOUT_USERS:
        return _Standing.UNSAID if _MADE_BY_BROWSERS.fullmatch(distinct) else _Standing.USER
    if name == "$groupidentify":  # posthog-python makes an id up where it is given none
        server = _flag(properties.get("$is_server")) or properties.get("$lib") == "posthog-python"
        made_up = server and _MADE_BY_SERVERS.fullmatch(distinct)
        return _Standing.NOBODY if made_up else _Standing.UNSAID
    personless = _flag(_object(item.options).get("process_person_profile"))
    if personless is None:
        personless = _flag(properties.get("$process_person_profile"))
    if personless is not False:
        return _Standing.UNSAID
    session = properties.get("$session_id") or item.session_id
    if device or (session and not _flag(properties.get("$is_server"))):
        return _Standing.VISITOR
    return _Standing.NOBODY


def _identifier(value: Any) -> str:
    """Return the id, or "" for one that stands for nobody: PostHog's own stand-ins begin with a dollar sign."""
    identifier = read_identifier(value)
    return "" if identifier.startswith("$") else identifier


def _timestamp(item: _Item, origin: Origin) -> Any:
    if item.timestamp is None and isinstance(item.offset, int | float) and 0 <= item.offset <= 1e12:
        return origin.received_at - timedelta(milliseconds=item.offset)
    return item.timestamp


def _skew_is_right(item: _Item, properties: dict[str, Any]) -> bool:
    """Tell whether the sender's clock needs no correction, or got it already."""
    options = _object(item.options)
    ignored = _flag(properties.get("$ignore_sent_at")) or _flag(options.get("disable_skew_correction"))
    return bool(ignored) or item.timestamp is None


def _name(kind: TouchType, name: str, properties: dict[str, Any]) -> str:
    match kind:
        case TouchType.TRACK:
            return name
        case TouchType.SCREEN:
            return scalar_text(properties.get("$screen_name"))
        case _:
            return ""


def _facts(properties: dict[str, Any]) -> dict[str, Any]:
    facts = dict(properties)  # of some sixty keys in a browser: asking each what it is takes twice as long
    for key in _STRUCTURE:
        facts.pop(key, None)
    return facts


def _page(properties: dict[str, Any]) -> dict[str, Any]:
    referrer = properties.get("$referrer")
    page = {
        "url": properties.get("$current_url"),
        "path": properties.get("$pathname"),
        "title": properties.get("title") or properties.get("$title"),
        "referrer": None if referrer == "$direct" else referrer,
    }
    return {key: value for key, value in page.items() if value} if page["url"] or page["path"] else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flag(value: Any) -> bool | None:
    text = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    return True if text in _YES else False if text in _NO else None

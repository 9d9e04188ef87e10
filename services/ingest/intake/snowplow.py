"""Snowplow's tracker protocol, version 2: a list of events whose fields are texts, or one event in a query string.

Structured events are track calls named by their action, self-describing ones by their schema; the schemas of
Snowplow's own trackers become Segment's names.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.instants import occurred_at
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.fields import Limits
from services.ingest.intake.payload import check, check_size, decode
from services.ingest.intake.snowplow_fields import (
    Fields,
    amounts_of,
    objects,
    read_json,
    read_schema,
    read_time,
    sent_at,
    text_of,
    texts_of,
)
from shared.events.touch import TouchType
from shared.events.vocabulary import FORM_SUBMITTED

MAX_QUERY_FIELDS = 500

# Names of the events that Snowplow's own trackers describe, by the names of their schemas.
NAMES: Mapping[str, str] = {
    "add_to_cart": "Product Added",
    "application_install": "Application Installed",
    "button_click": "Button Clicked",
    "change_form": "Form Changed",
    "file_download": "File Downloaded",
    "focus_form": "Form Focused",
    "link_click": "Link Clicked",
    "remove_from_cart": "Product Removed",
    "site_search": "Products Searched",
    "social_interaction": "Content Shared",
    "submit_form": FORM_SUBMITTED,
}
SCREENS = frozenset({"screen_view"})
# What trackers tell of themselves: nobody did anything, so it only tells who is there.
MEASUREMENTS = frozenset(
    "client_session page_ping screen_end screen_summary application_background application_foreground"
    " application_error performance_timing timing web_vitals".split()
)
_OWN_VENDORS = "com.snowplowanalytics."

# What the fields of the two older kinds of events are called as properties.
_STRUCTURED = {"category": "se_ca", "label": "se_la", "property": "se_pr"}
_TRANSACTION = {
    "order_id": "tr_id",
    "affiliation": "tr_af",
    "city": "tr_ci",
    "state": "tr_st",
    "country": "tr_co",
    "currency": "tr_cu",
}
_ITEM = {"order_id": "ti_id", "sku": "ti_sk", "name": "ti_nm", "category": "ti_ca", "currency": "ti_cu"}


class _Payload(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]


class _What(msgspec.Struct, frozen=True):
    """What kind of call an event is."""

    type: TouchType
    name: str = ""
    properties: Fields = {}


_payloads = msgspec.json.Decoder(_Payload)


def read_payload(
    body: bytes, *, query: str, user_agent: str, origin: Origin, limits: Limits
) -> list[Event | Rejection]:
    """Return what each event of a posted payload is; the fields of the query hold for all, and win. Raises Refused."""
    payload = decode(_payloads, body)
    if not payload.data:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `data`.")
    over = _query_fields(query)

    def reading(raw: bytes) -> Callable[[], Fields]:
        def read() -> Fields:
            check(raw)
            fields: Fields = decode(objects, raw)
            return {**fields, **over}

        return read

    return [
        _read(bytes(raw), reading(bytes(raw)), number, user_agent, origin, limits, frame=(b'{"data":[', b"]}"))
        for number, raw in enumerate(payload.data)
    ]


def read_query(query: bytes, *, user_agent: str, origin: Origin, limits: Limits) -> Event | Rejection:
    """Return what the event in a query string is."""

    def read() -> Fields:
        return _query_fields(query.decode("utf-8", "replace"))

    return _read(query, read, 0, user_agent, origin, limits, frame=(b"", b""))


def _read(
    raw: bytes,
    read: Callable[[], Fields],
    number: int,
    user_agent: str,
    origin: Origin,
    limits: Limits,
    *,
    frame: tuple[bytes, bytes],
) -> Event | Rejection:
    try:
        check_size(len(raw), limits.max_event_bytes)
        return _event(read(), number, user_agent, origin, limits)
    except Refused as refused:
        return Rejection(refused.reason, refused.message, raw, number, frame)


def _query_fields(query: str) -> Fields:
    try:
        fields = dict(parse_qsl(query, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        raise Refused(Reason.WRONG_TYPE, f"Send at most {MAX_QUERY_FIELDS} fields in a query.") from None
    if any("\0" in text for pair in fields.items() for text in pair):
        raise Refused(Reason.NUL_CHARACTER, "Send texts without the character NUL (%00).")
    return fields


def _event(fields: Fields, number: int, user_agent: str, origin: Origin, limits: Limits) -> Event:
    contexts = _contexts(fields)
    what = _what(fields)
    properties = what.properties
    if contexts:
        properties = {**properties, "contexts": contexts}
    corrected = text_of(fields, "ttm")  # a time that is true needs no correction
    return Event(
        type=what.type,
        message_id=text_of(fields, "eid") or origin.unnamed(number),
        occurred_at=occurred_at(
            timestamp=read_time(fields, "ttm" if corrected else "dtm"),
            original_timestamp=None,
            sent_at=None if corrected else sent_at(fields),
            received_at=origin.received_at,
            allowed_skew=limits.allowed_skew,
        ),
        names=_names(fields, properties, contexts),
        name=what.name,
        properties=properties,
        page=_page(fields),
        # Browsers' trackers leave the agent to the request; that of any other is its server's.
        user_agent=text_of(fields, "ua") or (user_agent if text_of(fields, "tv").startswith("js-") else ""),
    )


def _what(fields: Fields) -> _What:
    match text_of(fields, "e"):
        case "pv":
            return _What(TouchType.PAGE)
        case "pp":
            return _What(TouchType.IDENTIFY)
        case "se":
            properties = texts_of(fields, _STRUCTURED) | amounts_of(fields, {"value": "se_va"})
            return _track(text_of(fields, "se_ac") or text_of(fields, "se_ca"), properties)
        case "tr":
            amounts = {"total": "tr_tt", "tax": "tr_tx", "shipping": "tr_sh"}
            return _track("Order Completed", texts_of(fields, _TRANSACTION) | amounts_of(fields, amounts))
        case "ti":
            amounts = {"price": "ti_pr", "quantity": "ti_qu"}
            return _track("Product Ordered", texts_of(fields, _ITEM) | amounts_of(fields, amounts))
        case "ue":
            return _described(fields)
        case _:
            raise Refused(Reason.UNKNOWN_TYPE, "Set `e` to one of pv, pp, se, ue, tr and ti.")


def _track(name: str, properties: Fields) -> _What:
    if not name:
        raise Refused(Reason.NO_EVENT_NAME, "Give a structured event its action in `se_ac`.")
    return _What(TouchType.TRACK, name, properties)


def _described(fields: Fields) -> _What:
    outer = read_json(fields, "ue_pr", "ue_px")
    inner = outer.get("data") if outer else None
    if not isinstance(inner, dict):
        raise Refused(Reason.WRONG_TYPE, "Send a self-describing JSON in `ue_pr`, or in base64 in `ue_px`.")
    vendor, name = read_schema(inner.get("schema"))
    if not name:
        raise Refused(
            Reason.NO_EVENT_NAME, "Name the schema of a self-describing event: iglu:vendor/name/format/1-0-0."
        )
    data = inner.get("data")
    properties: Fields = data if isinstance(data, dict) else {}
    if vendor.startswith(_OWN_VENDORS):
        if name in MEASUREMENTS:
            return _What(TouchType.IDENTIFY)
        if name in SCREENS:
            return _What(TouchType.SCREEN, scalar_text(properties.get("name")), properties)
        if name == "link_click":
            properties = {**properties, "link_url": properties.get("targetUrl")}
        elif name == "site_search":
            properties = {**properties, "query": _terms(properties.get("terms"))}
        elif name == "submit_form":
            properties = _form(properties)
        name = NAMES.get(name, name)
    return _What(TouchType.TRACK, name, properties)


def _terms(value: Any) -> str:
    return " ".join(map(scalar_text, value)) if isinstance(value, list) else scalar_text(value)


def _form(data: Fields) -> Fields:
    """Return a submitted form as Segment has it: its id, and what was filled in by the names of the fields."""
    elements = data.get("elements")
    answers = {
        name: element.get("value")
        for element in (elements if isinstance(elements, list) else [])
        if isinstance(element, dict) and element.get("type") != "password" and (name := text_of(element, "name"))
    }
    email = next((value for name, value in answers.items() if "email" in name.lower() and read_email(value)), None)
    form = {"form": data.get("formId"), "fields": answers}
    return {**form, "email": email} if email else form


def _contexts(fields: Fields) -> Fields:
    """Return the data of the event's contexts by the names of their schemas, the last of each name."""
    outer = read_json(fields, "co", "cx")
    listed = outer.get("data") if outer else None
    found: Fields = {}
    for context in listed if isinstance(listed, list) else []:
        if isinstance(context, dict):
            _, name = read_schema(context.get("schema"))
            if name and isinstance(context.get("data"), dict):
                found[name] = context["data"]
    return found


def _names(fields: Fields, properties: Fields, contexts: Fields) -> Names:
    user = read_identifier(fields.get("uid"))
    anonymous = (
        read_identifier(fields.get("duid"))
        or read_identifier(contexts.get("client_session", {}).get("userId"))
        or read_identifier(fields.get("tnuid"))
        or read_identifier(fields.get("nuid"))
    )
    email = read_email(user)
    if not email and not user:
        email = read_email(properties.get("email"))  # a form tells who filled it in; a known user may write of others
    if not (user or email or anonymous):
        raise Refused(Reason.NO_IDENTIFIER, "Send a `uid`, `duid` or `tnuid` that names one contact.")
    return Names(user=user, email=email, anonymous=anonymous)


def _page(fields: Fields) -> Fields:
    page = {"url": text_of(fields, "url"), "title": text_of(fields, "page"), "referrer": text_of(fields, "refr")}
    return {key: value for key, value in page.items() if value} if page["url"] else {}

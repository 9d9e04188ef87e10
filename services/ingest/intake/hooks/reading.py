"""From a provider's own words to an event: what the readers of all providers do alike."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.instants import occurred_at
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.fields import Limits
from services.ingest.intake.hooks.mapping import Expression, consent_found
from services.ingest.intake.payload import check, check_size, decode
from shared.events.touch import TouchType

Fields = dict[str, Any]
Item = Event | Rejection

_MILLISECONDS_FROM = 100_000_000_000  # as seconds, this would be the year 5138
_NUMBER = re.compile(r"-?\d{1,16}(\.\d{1,9})?")
_WORDS = re.compile(r"[^0-9a-zA-Z]+")

# What providers and forms call the facts of a person that Segment has names for.
_TRAITS = {
    "firstname": "firstName",
    "fname": "firstName",
    "givenname": "firstName",
    "lastname": "lastName",
    "lname": "lastName",
    "surname": "lastName",
    "familyname": "lastName",
    "name": "name",
    "fullname": "name",
    "jobtitle": "title",
    "title": "title",
    "position": "title",
    "phone": "phone",
    "phonenumber": "phone",
    "company": "company",
    "companyname": "company",
    "website": "website",
    "industry": "industry",
}

_UTM = {"name": "campaign", "source": "source", "medium": "medium", "term": "term", "content": "content"}

_objects = msgspec.json.Decoder(Fields)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One record that is being read: where it came from, and what an event in it may be."""

    origin: Origin
    limits: Limits
    content_type: str = ""
    mapping: str = ""  # of the source
    consent: Expression | None = None  # what finds the consent in an event, where its source requires it

    def each(self, raws: Iterable[bytes], read: Callable[[Fields, bytes], Event]) -> list[Item]:
        """Return what each item is; one that is refused costs its neighbours nothing."""
        items: list[Item] = []
        for number, raw in enumerate(raws):
            try:
                items.append(read(fields_of(raw), raw))
            except Refused as refused:
                items.append(Rejection(refused.reason, refused.message, raw, number))
        return items

    def event(
        self,
        kind: TouchType,
        *,
        message_id: str,
        at: Any,
        names: Names,
        name: str = "",
        properties: Mapping[str, Any] | None = None,
        traits: Mapping[str, Any] | None = None,
        campaign: Mapping[str, Any] | None = None,
        user_agent: Any = "",
        consent: Any = None,
    ) -> Event:
        """Return the event. `at` is a time in any form; None stands for its receipt. Raises Refused."""
        besides = self.limits.placeholders
        if besides and (names.user or names.anonymous):
            names = Names(
                email=names.email,
                user=read_identifier(names.user, besides=besides),
                anonymous=read_identifier(names.anonymous, besides=besides),
            )
        if not names.aliases:
            raise Refused(
                Reason.NO_IDENTIFIER, "Nothing in it names a contact: no address, and no id that can be used."
            )
        told = _told(properties)
        known = _told(traits)
        check_size(len(_encode(told)) + len(_encode(known)), self.limits.max_event_bytes)
        return Event(
            type=kind,
            message_id=message_id,
            occurred_at=occurred_at(
                timestamp=None if at is None else iso_time(at),
                original_timestamp=None,
                sent_at=None,
                received_at=self.origin.received_at,
                allowed_skew=self.limits.allowed_skew,
            ),
            names=names,
            name=name,
            properties=told,
            traits=known,
            campaign=_told(campaign),
            user_agent=scalar_text(user_agent),
            consent=self._consent(consent, name, told, known),
        )

    def _consent(self, said: Any, name: str, properties: Fields, traits: Fields) -> Fields:
        if self.consent is not None:
            understood = {"name": name, "properties": properties, "traits": traits}
            said = consent_found(self.consent, understood, understood)
        return {} if said is None else {"given": said}

    def track(self, name: str, **event: Any) -> Event:
        """Return a track call of this name. Raises Refused."""
        return self.event(TouchType.TRACK, name=name, **event)

    def identify(self, **event: Any) -> Event:
        """Return an identify call. Raises Refused."""
        return self.event(TouchType.IDENTIFY, **event)


def fields_of(raw: bytes) -> Fields:
    """Decode an object. Raises Refused."""
    check(raw)
    return decode(_objects, raw)


def items_of(body: bytes) -> Sequence[bytes]:
    """Return the items of a list; an object is the only item, which is how one that was set aside comes back."""
    if body.lstrip()[:1] != b"[":
        return [body]
    return [bytes(raw) for raw in decode(_lists, body)]


def skip(why: str) -> Refused:
    """Return the refusal of something that is understood but of no use here."""
    return Refused(Reason.SKIPPED, why)


def below(fields: Mapping[str, Any], *path: str) -> Fields:
    """Return the object at the path, or an empty one."""
    value: Any = fields
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """Return a list as it is, anything else as none."""
    return value if isinstance(value, list) else []


def first(*values: Any) -> str:
    """Return the first that is a text or a number, as text."""
    return next((text for value in values if (text := scalar_text(value).strip())), "")


def names_of(
    *, email: Any = None, user: Any = None, anonymous: Any = None, beside: Mapping[str, Any] | None = None
) -> Names:
    """Return who is meant; `beside` are facts of the sender's own, which may hold ids of the website."""
    beside = beside or {}
    user_id = read_identifier(user) or read_identifier(beside.get("user_id") or beside.get("userId"))
    return Names(
        email=read_email(email) or read_email(user_id) or read_email(beside.get("email")),
        user=user_id,
        anonymous=read_identifier(beside.get("anonymous_id") or beside.get("anonymousId"))
        or read_identifier(anonymous),
    )


def digest(raw: bytes) -> str:
    """Return a message id for what has none: the same bytes are the same message."""
    return hashlib.sha256(raw).hexdigest()


def title(words: str) -> str:
    """Return `group_unsubscribe` as `Group Unsubscribe`."""
    return " ".join(word[:1].upper() + word[1:] for word in _WORDS.split(words) if word)


def slug(words: str) -> str:
    """Return a question as the name of a property: `What's your budget?` is `what_s_your_budget`."""
    return "_".join(word.lower() for word in _WORDS.split(words) if word)[:100]


def person_traits(fields: Mapping[str, Any]) -> Fields:
    """Return the facts of a person that have a name in Segment's vocabulary, under that name."""
    traits: Fields = {}
    for key, value in fields.items():
        trait = _TRAITS.get(_WORDS.sub("", key).lower())
        if trait and isinstance(value, str | int | float) and value != "":
            traits.setdefault(trait, value)
    return traits


def all_traits(fields: Mapping[str, Any]) -> Fields:
    """Return all facts of a person, those that Segment has a name for under it."""
    rest = {key: value for key, value in fields.items() if _WORDS.sub("", key).lower() not in _TRAITS}
    return {**rest, **person_traits(fields)}


def iso_time(value: Any) -> Any:
    """Return seconds or milliseconds since 1970 in ISO 8601, anything else as it is. Raises Refused."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise Refused(Reason.BAD_TIMESTAMP, f"{str(value)[:40]} is not a time since 1970.") from None


def _told(facts: Mapping[str, Any] | None) -> Fields:
    return {key: value for key, value in (facts or {}).items() if value is not None and value not in ("", [], {})}


def campaign_of(facts: Mapping[str, Any]) -> Fields:
    """Return the campaign that utm parameters among the facts name."""
    return {field: first(facts.get(f"utm_{given}")) for field, given in _UTM.items()}

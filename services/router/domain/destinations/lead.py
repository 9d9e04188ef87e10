"""The lead in a message, as systems for customers want it: one person, flat, with a name in two parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.router.domain.destination import NOTHING_LEARNED, Exchange, Judged, Learned, Request, Target, templated
from services.router.domain.kind import TERMS
from services.router.domain.mapping import FieldMapping, FieldRule, apply_mapping
from services.router.domain.outcome import Outcome
from services.router.domain.webhook import Message

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json", "accept": "application/json"}
NOTHING_TO_TELL = Judged(Outcome.DELIVERED, "The message is about no lead; there was nothing to write.")

Lead = Mapping[str, Any]


class NoForm(ValueError):
    """Raised for a message that a kind of system cannot be told."""


@dataclass(frozen=True, slots=True)
class ToldOfLeads:
    """A kind of system that is told of leads and of nothing else; `write` tells it of one."""

    write: Callable[[Lead, Target], Exchange]

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:  # noqa: ARG002
        """Write the lead."""
        lead = read_lead(message, target)
        if lead is None:
            return NOTHING_TO_TELL
        return (yield from self.write(lead, target))


def read_envelope(message: Message, target: Target) -> dict[str, Any]:
    """Return the message as JSON, with the text of its brief by the endpoint's template."""
    envelope: dict[str, Any] = msgspec.json.decode(templated(message, target).body)
    return envelope


def read_lead(message: Message, target: Target) -> Lead | None:
    """Return what a mapping is over: the message's data, its `type`, and `person`. None: it is about no lead.

    Raises NoForm for an erasure: whether a customer's record may go, people decide.
    """
    envelope = read_envelope(message, target)
    kind, data = envelope["type"], envelope["data"]
    if kind == "contact.erased":
        raise NoForm(f"{target.kind} is not told of erasures: erase contact {data['contact']['id']} there by hand.")
    if "brief" not in data:
        return None
    return {**data, "type": kind, "timestamp": envelope["timestamp"], "person": _person(data["contact"])}


def fields_of(lead: Lead, target: Target, defaults: Mapping[str, str | FieldRule]) -> dict[str, Any]:
    """Return the fields to write: the kind's own, each replaced by the endpoint's where it names the same."""
    mapping: FieldMapping = {
        **{name: FieldRule(path=rule) if isinstance(rule, str) else rule for name, rule in defaults.items()},
        **target.mapping,
    }
    return apply_mapping(mapping, lead)


def setting(target: Target, name: str) -> str:
    """Return a setting of the endpoint, or its kind's default."""
    return target.settings.get(name) or TERMS[target.kind].settings[name]


def ask(
    target: Target,
    method: str,
    path: str,
    body: Any = None,
    *,
    learned: Learned = NOTHING_LEARNED,
    makes: str | None = None,
) -> Request:
    """Return a request to a path below the endpoint's URL, with the body as JSON if there is one."""
    return Request(
        method=method,
        url=target.url.rstrip("/") + path,
        headers={**JSON_HEADERS, **target.headers},
        body=b"" if body is None else msgspec.json.encode(body),
        learned=learned,
        makes=makes,
    )


def _person(contact: Mapping[str, Any]) -> dict[str, str]:
    """Return the name in two parts; the last one is never empty, since most systems insist on it."""
    traits, whole = contact["traits"], str(contact["name"])
    first = _text(traits.get("first_name")) or _text(traits.get("firstName"))
    last = _text(traits.get("last_name")) or _text(traits.get("lastName"))
    if not last:
        head, _, tail = whole.rpartition(" ")
        first, last = first or head, tail
    return {"first_name": first, "last_name": last or contact["email"].partition("@")[0] or "Unknown"}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""

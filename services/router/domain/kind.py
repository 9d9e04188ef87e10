"""The kinds of systems that messages go to, and what an endpoint of a kind may say besides its URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What stands at the other end."""

    WEBHOOK = "webhook"  # Standard Webhooks: the message as it is, signed
    GENERIC = "generic"  # any JSON API: a body by mapping
    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"
    DYNAMICS = "dynamics"
    PIPEDRIVE = "pipedrive"
    ZOHO = "zoho"
    CLOSE = "close"
    ATTIO = "attio"
    SLACK = "slack"
    TEAMS = "teams"


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_METHODS = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class KindTerms:
    """What an endpoint of the kind may set, with the defaults; "" is a setting that has to be given."""

    settings: Mapping[str, str] = field(default_factory=dict)
    mapped: bool = False  # whether a mapping says what is written
    remembered: bool = False  # whether its records have no key of ours, so that theirs are kept


TERMS: Mapping[Kind, KindTerms] = MappingProxyType(
    {
        Kind.WEBHOOK: KindTerms(),
        Kind.GENERIC: KindTerms(settings={"method": "POST"}, mapped=True),
        Kind.SALESFORCE: KindTerms(
            settings={"object": "Lead", "external_id": "Tandem_Id__c", "version": "v62.0"}, mapped=True
        ),
        Kind.HUBSPOT: KindTerms(
            settings={"object": "contacts", "id_property": "email", "version": "2026-03"}, mapped=True
        ),
        Kind.DYNAMICS: KindTerms(settings={"entity": "leads", "key": "", "version": "v9.2"}, mapped=True),
        Kind.PIPEDRIVE: KindTerms(mapped=True, remembered=True),
        Kind.ZOHO: KindTerms(settings={"module": "Leads", "duplicate_check": "Email", "version": "v8"}, mapped=True),
        Kind.CLOSE: KindTerms(mapped=True, remembered=True),
        Kind.ATTIO: KindTerms(settings={"object": "people", "match": "email_addresses"}, mapped=True),
        Kind.SLACK: KindTerms(),
        Kind.TEAMS: KindTerms(),
    }
)


def setting_mistake(kind: Kind, name: str, value: str) -> str | None:
    """Return what is wrong with a setting: it becomes a part of a URL."""
    if kind is Kind.GENERIC and name == "method":
        return None if value in _METHODS else f"expected one of {', '.join(_METHODS)}, not {value!r}"
    names = value.split(",") if name == "duplicate_check" else [value]
    if all(_NAME.fullmatch(part.strip()) for part in names):
        return None
    return f"expected a name of letters, digits, dots, underscores and hyphens, not {value!r}"

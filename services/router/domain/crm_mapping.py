"""How the status webhooks of a CRM become answers: declared for each endpoint, in expressions of JMESPath.

    preset: pipedrive                     # what is declared besides counts instead
    proof: {kind: token}                  # or {kind: hubspot}, or {kind: hmac, header: X-Signature, prefix: sha256=}
    items: events                         # a list or one object; without it, the whole body
    id: meta.id                           # what is the same when it is sent again
    handoff: data.tandem_handoff_id       # the id that the message to the CRM had
    status: data.status
    amount: data.value
    currency: data.currency
    steps: {won: win, lost: lose, unfit: {step: reject, reason: not_a_fit}}

Statuses match in any case. An expression that finds nothing leaves its part out.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from services.router.domain.handoff import Step
from services.router.errors import CrmHookInvalid, CrmUnreadable

MOST_ITEMS = 1_000
EXPRESSIONS = ("items", "id", "handoff", "status", "reason", "note", "objection", "amount", "currency")
STEPS = (Step.ACCEPT, Step.REJECT, Step.QUALIFY, Step.WIN, Step.LOSE)

_LONGEST = 5_000  # characters of what a CRM says


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a CRM shows that it is the one: by the secret itself, or by an HMAC of the body."""

    kind: Literal["token", "hmac", "hubspot"] = "token"
    header: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""


class Taking(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The step that a status stands for; of a rejection with the reason, unless the CRM names one."""

    step: Step
    reason: str | None = None


class CrmMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody declared."""

    preset: str | None = None
    proof: Proof | None = None
    items: str | None = None
    id: str | None = None
    handoff: str | None = None
    status: str | None = None
    reason: str | None = None
    note: str | None = None
    objection: str | None = None
    amount: str | None = None
    currency: str | None = None
    steps: dict[str, Step | Taking] | None = None


class CrmEvent(msgspec.Struct, frozen=True):
    """One item of a webhook, as the mapping reads it. `id` is empty where the CRM sends none."""

    id: str
    handoff: str
    status: str
    taking: Taking | None
    note: str | None
    objection: str | None
    amount: Decimal | None
    currency: str | None

    @property
    def handoff_id(self) -> UUID | None:
        """The handoff, if it is written as one."""
        try:
            return UUID(self.handoff)
        except ValueError:
            return None


PRESETS: Mapping[str, CrmMapping] = MappingProxyType(
    {
        # The action "Send a webhook" of a workflow, with all properties or with chosen ones.
        "hubspot": CrmMapping(
            proof=Proof(kind="hubspot"),
            handoff="tandem_handoff_id || properties.tandem_handoff_id.value || properties.tandem_handoff_id",
            status="dealstage || properties.dealstage.value || properties.dealstage || hs_lead_status"
            " || properties.hs_lead_status.value || properties.hs_lead_status",
            amount="amount || properties.amount.value || properties.amount",
            currency="deal_currency_code || properties.deal_currency_code.value || properties.deal_currency_code",
            reason="closed_lost_reason || properties.closed_lost_reason.value || properties.closed_lost_reason",
            steps={
                "IN_PROGRESS": Step.ACCEPT,
                "CONNECTED": Step.ACCEPT,
                "OPEN_DEAL": Step.QUALIFY,
                "UNQUALIFIED": Taking(Step.REJECT, reason="not_a_fit"),
                "BAD_TIMING": Taking(Step.REJECT, reason="bad_timing"),
                "appointmentscheduled": Step.QUALIFY,
                "qualifiedtobuy": Step.QUALIFY,
                "closedwon": Step.WIN,
                "closedlost": Step.LOSE,
            },
        ),
        # An outbound message (SOAP), or a flow that posts the record's fields as JSON.
        "salesforce": CrmMapping(
            items="Notification || @",
            id="NotificationId",
            handoff="sObject.Tandem_Handoff__c || Tandem_Handoff__c",
            status="sObject.StageName || sObject.Status || StageName || Status",
            amount="sObject.Amount || Amount",
            currency="sObject.CurrencyIsoCode || CurrencyIsoCode",
            reason="sObject.Loss_Reason__c || Loss_Reason__c",
            steps={
                "Working": Step.ACCEPT,
                "Working - Contacted": Step.ACCEPT,
                "Contacted": Step.ACCEPT,
                "Qualified": Step.QUALIFY,
                "Closed - Converted": Step.QUALIFY,
                "Unqualified": Taking(Step.REJECT, reason="not_a_fit"),
                "Closed - Not Converted": Taking(Step.REJECT, reason="not_a_fit"),
                "Closed Won": Step.WIN,
                "Closed Lost": Step.LOSE,
            },
        ),
        # Webhooks v2 of deals. The field has a key of its own in each account: declare `handoff`.
        "pipedrive": CrmMapping(
            id="meta.id",
            handoff="data.tandem_handoff_id",
            status="data.status",
            amount="data.value",
            currency="data.currency",
            reason="data.lost_reason",
            steps={"open": Step.QUALIFY, "won": Step.WIN, "lost": Step.LOSE},
        ),
    }
)


def read_mapping(document: Any) -> CrmMapping:
    """Read what somebody declared, with the preset's parts. Raises CrmHookInvalid."""
    try:
        declared = msgspec.convert(document, CrmMapping)
    except msgspec.ValidationError as error:
        raise CrmHookInvalid(f"The mapping is not as expected: {error}.") from None
    if declared.preset is not None and declared.preset not in PRESETS:
        raise CrmHookInvalid(f"There is no preset {declared.preset!r}; there are {', '.join(PRESETS)}.")
    mapping = with_preset(declared)
    for name in EXPRESSIONS:
        expression = getattr(mapping, name)
        try:
            if expression is not None:
                jmespath.compile(expression)
        except (JMESPathError, RecursionError) as error:
            raise CrmHookInvalid(f"`{name}` is not JMESPath: {' '.join(str(error).split())}") from None
    if mapping.handoff is None or mapping.status is None or not mapping.steps:
        raise CrmHookInvalid("Declare `handoff`, `status` and `steps`, or a preset that does.")
    for status, step in mapping.steps.items():
        if _taking(step).step not in STEPS:
            raise CrmHookInvalid(f"`steps.{status}`: a status stands for one of {', '.join(STEPS)}.")
    if mapping.proof is not None and mapping.proof.kind == "hmac" and not mapping.proof.header:
        raise CrmHookInvalid("`proof.header`: name the header that has the signature.")
    return mapping


def with_preset(declared: CrmMapping) -> CrmMapping:
    """Return the mapping with what its preset says where nothing is declared."""
    preset = PRESETS.get(declared.preset or "")
    if preset is None:
        return declared
    given = {
        name: getattr(declared, name) if getattr(declared, name) is not None else getattr(preset, name)
        for name in CrmMapping.__struct_fields__
    }
    return CrmMapping(**given)


def read_events(mapping: CrmMapping, body: Any) -> list[CrmEvent]:
    """Return what a webhook says. Raises CrmUnreadable."""
    found = _search(mapping.items, body) if mapping.items else body
    items = found if isinstance(found, list) else [found]
    if len(items) > MOST_ITEMS:
        raise CrmUnreadable(f"It holds more than {MOST_ITEMS} items.")
    return [_event(mapping, item) for item in items if item is not None]


def _event(mapping: CrmMapping, item: Any) -> CrmEvent:
    status = _text(mapping.status, item) or ""
    steps = {name.casefold(): step for name, step in (mapping.steps or {}).items()}
    step = steps.get(status.casefold())
    taking = _taking(step) if step is not None else None
    said = _text(mapping.reason, item)
    if taking is not None and (taking.step is Step.LOSE or taking.reason is None) and said:
        taking = Taking(taking.step, reason=said)
    return CrmEvent(
        id=_text(mapping.id, item) or "",
        handoff=_text(mapping.handoff, item) or "",
        status=status,
        taking=taking,
        note=_text(mapping.note, item),
        objection=_text(mapping.objection, item),
        amount=_amount(_text(mapping.amount, item)),
        currency=_text(mapping.currency, item),
    )


def _taking(step: Step | Taking) -> Taking:
    return step if isinstance(step, Taking) else Taking(step)


def _text(expression: str | None, item: Any) -> str | None:
    found = _search(expression, item) if expression else None
    if isinstance(found, bool) or not isinstance(found, str | int | float | Decimal):
        return None
    return str(found).replace("\0", "").strip()[:_LONGEST] or None


def _amount(text: str | None) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _search(expression: str, item: Any) -> Any:
    try:
        return jmespath.search(expression, item)
    except (JMESPathError, RecursionError, TypeError, ValueError) as error:
        raise CrmUnreadable(f"`{expression}` cannot be evaluated: {' '.join(str(error).split())}") from None

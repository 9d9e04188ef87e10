"""HubSpot's app webhooks: a list of changes, which name their object by a number only.

The number names the contact weakly, as an anonymous id of its own. A change of the property `email` joins it to the
address, and so to what the contact did elsewhere.
HubSpot tells receivers to refuse what was signed more than five minutes ago, so it stamps its retries anew. It signs
the address with twelve percent-encoded characters decoded (developers.hubspot.com, "Validating requests"); its own
libraries sign it as it is, so both count.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names, read_email
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import Fields, Item, Reading, all_traits, digest, first, items_of, skip
from services.ingest.intake.hooks.signature import HookRequest, check_age, check_signature, hmac_base64

WINDOW = timedelta(minutes=5)
CONTACT_TYPE = "0-1"  # of the newer subscriptions, whose object is called `object`

_DECODED = {f"%{ord(character):02X}": character for character in ":/?@!$'()*,;"}
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)

_YES = frozenset({"true", "yes", "1"})


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check signature version 3 with the app's client secret. Raises NotVerified."""
    given = request.header("X-HubSpot-Signature-v3")
    stamp = request.header("X-HubSpot-Request-Timestamp")
    check_age(stamp, now=request.received_at, window=WINDOW, milliseconds=True)
    check_signature(
        given,
        (
            hmac_base64(secret, request.method.encode(), url.encode(), request.body, stamp.encode())
            for secret in secrets
            for address in request.urls
            for url in dict.fromkeys((_decoded(address), address))
        ),
    )


def _decoded(url: str) -> str:
    return _ENCODED.sub(lambda found: _DECODED[found[0].upper()], url)


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what each change is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind, _, change = first(item.get("subscriptionType")).partition(".")
        if kind != "contact" and not (kind == "object" and first(item.get("objectTypeId")) == CONTACT_TYPE):
            raise skip("It tells of another object than a contact.")
        name, value = first(item.get("propertyName")), item.get("propertyValue")
        number = first(item.get("objectId"))
        about = {
            "message_id": _message_id(item) or digest(raw),
            "at": item.get("occurredAt"),
            "names": Names(
                email=read_email(value) if name == "email" else "",
                anonymous=f"hubspot:{first(item.get('portalId'))}:{number}" if number else "",
            ),
        }
        match change:
            case "propertyChange":
                traits = all_traits({name: value})
                if name == "hs_email_optout" and first(value).lower() in _YES:
                    traits["unsubscribed"] = True
                return reading.identify(traits=traits, **about)
            case "creation":
                return reading.identify(traits={"hubspot_id": number}, **about)
            case "privacyDeletion":  # the person asked to be forgotten
                return reading.track(mail.UNSUBSCRIBED, properties={"reason": "privacy_deletion"}, **about)
            case _:
                raise skip(f"A change of the kind {change or 'unknown'} tells nothing that a contact did or is.")

    return reading.each(items_of(body), one)


def _message_id(item: Fields) -> str:
    """Return what is the same on each try; HubSpot does not promise that `eventId` alone is unique."""
    event = first(item.get("eventId"))
    rest = (first(item.get(field)) for field in ("subscriptionId", "objectId", "occurredAt"))
    return "/".join((event, *rest)) if event else ""

"""Consent that an event carries, for sources that may send nothing without it.

An event carries consent for a purpose when it says so itself, in one of these ways:

* `context.consent.categoryPreferences.<purpose>` is true (Segment's consent management)
* `context.consent.given` is true
* `properties.consent` is true

Only the value true counts; not "true", not 1. Wherever one of the three says false, there is no consent: a page that
asks twice goes by the stricter answer.

To be left alone needs no consent: who takes it back is heard whatever the event carries.
"""

from typing import Any

from services.ingest.domain.event import Event
from services.ingest.domain.understanding import OPT_OUT_TRAITS, opted_out


def consents(event: Event, purpose: str) -> bool:
    """Tell whether the event carries consent for the purpose."""
    said = (*_in_context(event.consent, purpose), event.properties.get("consent"))
    return any(value is True for value in said) and not any(value is False for value in said)


def bare_opt_out(event: Event) -> Event | None:
    """Return what is needed to leave the contact alone, where the event asks for that, and nothing else of it."""
    if not opted_out(event):
        return None
    return Event(
        type=event.type,
        message_id=event.message_id,
        occurred_at=event.occurred_at,
        names=event.names,
        name=event.name,
        traits={trait: event.traits[trait] for trait in OPT_OUT_TRAITS if trait in event.traits},
        source=event.source,
    )


def _in_context(consent: dict[str, Any], purpose: str) -> tuple[Any, ...]:
    preferences = consent.get("categoryPreferences")
    preference = preferences.get(purpose) if isinstance(preferences, dict) else None
    return preference, consent.get("given")

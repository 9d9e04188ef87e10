"""What the API shows of endpoints: everything but their secrets."""

from datetime import datetime
from typing import Any

import msgspec

from services.router.domain.endpoint import Endpoint
from services.router.domain.kind import TERMS
from services.router.domain.mapping_reading import write_mapping
from services.router.store.endpoints import DisabledBecause, EndpointState


def endpoint_json(endpoint: Endpoint, state: EndpointState | None, *, now: datetime) -> dict[str, Any]:
    """Return an endpoint of the team, and how it does."""
    return {
        "name": endpoint.name,
        "url": endpoint.url,
        "pools": endpoint.pools,
        "reps": endpoint.reps,
        "enabled": endpoint.enabled,
        "status": _status(state, now),
        "events": endpoint.events,
        "signature": endpoint.signature,
        **({"public_key": state.public_key} if state and state.public_key else {}),
        **_options(endpoint),
        **(_standing(state, now=now) if state else {}),
    }


def _options(endpoint: Endpoint) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "headers": list(endpoint.headers),
        "oauth2": endpoint.oauth2 and {**msgspec.to_builtins(endpoint.oauth2), "client_secret": None},
        "mtls": endpoint.mtls and {"certificate": endpoint.mtls.certificate},
        "retries": endpoint.retries and [pause.total_seconds() for pause in endpoint.retries],
        "rate": endpoint.rate,
        "concurrency": endpoint.concurrency,
        "order": endpoint.order,
        "kind": endpoint.kind,
        "settings": {**TERMS[endpoint.kind].settings, **endpoint.settings},
        "mapping": write_mapping(endpoint.mapping),
        "template": endpoint.template,
    }
    if endpoint.oauth2:
        del shown["oauth2"]["client_secret"]
    return shown


def _standing(state: EndpointState, *, now: datetime) -> dict[str, Any]:
    live = [item["until"] for item in state.retired if datetime.fromisoformat(item["until"]) > now]
    return {
        "disabled_at": state.disabled_at,
        "disabled_because": state.disabled_because,
        "paused_until": state.paused_until,
        "failures": state.failures,
        "failing_since": state.failing_since,
        "breaker_open_until": state.open_until,
        "old_signatures_until": live,
    }


def _status(state: EndpointState | None, now: datetime) -> str:
    if state is None or not state.enabled:
        return "disabled"
    if state.disabled_at is not None:
        # What an older release disabled has no reason: a 410 was the only one there was.
        because = state.disabled_because or DisabledBecause.GONE
        return "disabled" if because == DisabledBecause.ASKED else str(because)
    if state.open_until is not None:
        return "broken"  # the breaker is open: now and then an attempt looks
    return "paused" if state.paused_until and state.paused_until > now else "open"

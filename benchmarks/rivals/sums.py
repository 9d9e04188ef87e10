"""What every rival does with a touch: the scorer's own counting, the upsert of what it came to, and maybe history."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.population import agreement_text, terms_of
from services.scorer.domain.counting import count
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState, RuleCount
from shared.events.touch import Touch

TERMS = terms_of(agreement_text())
BATCH = 5_000  # touches before they are written, or what has come within the time
WITHIN = 0.1  # seconds

UPSERT = """
    INSERT INTO public.{table} (id, sums)
    SELECT * FROM unnest({ids}::uuid[], {sums}::bytea[])
    ON CONFLICT (id) DO UPDATE SET sums = excluded.sums
"""

# Who may get a touch twice keeps it once.
KEEP = """
    INSERT INTO public.{table}_touch (contact_id, id, occurred_at, received_at, payload)
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[], %b::timestamptz[], %b::bytea[])
    ON CONFLICT DO NOTHING
"""

Row = tuple[UUID, UUID, datetime, datetime, bytes]  # of the history

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, RuleCount]).decode
_payloads = msgspec.json.Decoder(list[msgspec.Raw]).decode


def add(sums: bytes | None, touches: Iterable[Touch]) -> bytes:
    """Return the sums of a contact after more touches."""
    state = ContactState(rules=decode(sums) if sums else {})
    for touch in touches:
        count(state, touch, to_micros(touch.occurred_at), terms=TERMS)
    return encode(state.rules)


def by_contact(touches: Iterable[Touch]) -> dict[UUID, list[Touch]]:
    """Return touches by contact."""
    found: dict[UUID, list[Touch]] = {}
    for touch in touches:
        found.setdefault(touch.contact_id, []).append(touch)
    return found


def rows(record: bytes, touches: Sequence[Touch]) -> list[Row]:
    """Return what a history keeps of a record that holds these touches."""
    return [
        (touch.contact_id, touch.id, touch.occurred_at, touch.received_at, bytes(payload))
        for touch, payload in zip(touches, _payloads(record), strict=True)
    ]


def setting(name: str) -> str:
    """Return what the benchmark tells the rival."""
    return os.environ[f"RIVAL_{name}"]

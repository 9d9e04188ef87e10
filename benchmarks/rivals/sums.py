"""What every rival does with a touch: the scorer's own counting, and the upsert of what it came to."""

import os
import sys
from collections.abc import Iterable
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

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, RuleCount]).decode


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


def setting(name: str) -> str:
    """Return what the benchmark tells the rival."""
    return os.environ[f"RIVAL_{name}"]

"""A database as it is after years: contacts with the states that their stored touches make, filled by the server.

A few thousand lives are made by the scorer's own code; each contact has one of them under an id of its own, so that a
million contacts take seconds. Only their contact tells the touches of two contacts of one life apart.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from uuid import UUID

import asyncpg
import msgspec

from benchmarks.database import connected
from services.scorer.domain.deciding import take_touch
from services.scorer.domain.instants import from_micros
from services.scorer.domain.state import ContactState, encode_state
from services.scorer.domain.terms import Terms
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.events.touch import Touch, TouchType
from shared.ids import touch_id

LIVES = 2_000
RULES = 40

_TITLES = ("Director of Supply", "VP Logistics", "Warehouse Lead", "Student", "Head of Operations", "Engineer")
_INDUSTRIES = ("logistics", "manufacturing", "retail", "software")


def agreement_text(*, points: int = 2, half_life: str = "30d") -> str:
    """Return an agreement of forty rules."""
    rules = [
        f"  - {{id: section-{number:02}, when: {{type: page, path: /section-{number:02}/*}}, group: content,"
        f" points: {points}, per_day: 5, stage: active_looking}}"
        for number in range(RULES - 4)
    ]
    return f"""
version: 1
title: Forty rules
half_life: {half_life}
groups: {{content: {{cap: 40}}, web: {{cap: 30}}, email: {{cap: 20}}, intent: {{cap: 100}}}}
rules:
  - {{id: demo-requested, when: {{name: Form Submitted}}, group: intent, points: 50, hand_raise: true}}
  - {{id: pricing-viewed, when: {{type: page, path: /pricing}}, group: intent, points: 10, per_day: 2, stage: deciding}}
  - {{id: email-clicked, when: {{name: Email Link Clicked}}, group: email, points: 3, per_day: 5}}
  - {{id: page-viewed, when: {{type: page}}, group: web, points: 1, per_day: 20}}
{chr(10).join(rules)}
fit:
  - {{id: target-industry, when: {{account.industry: [logistics, manufacturing]}}, points: 40}}
  - {{id: decision-maker, when: {{contact.title: ["*director*", "vp *", "head of *"]}}, points: 40}}
stages: {{first_thought: 90d, passive_looking: 90d, active_looking: 30d, deciding: 14d}}
ready: {{engagement: 60, fit: 50, touches: 8, stage: active_looking}}
rearm: {{below: 35, cool_down: 30d}}
respond: {{hand_raise: 5m, standard: 4h, reassign_after: 15m, escalate_after: 60m, hours: business}}
reject_reasons: [not_a_fit, other]
"""


def terms_of(text: str, version: int = 1) -> Terms:
    """Return the compiled agreement of a text, which has to be right."""
    parsed = parse_agreement(text)
    assert isinstance(parsed, Agreement), parsed
    return Terms(version, parsed)


def contact_of(number: int) -> UUID:
    """Return the id of a contact; the server makes the same one of the same number."""
    return UUID(bytes=md5(b"contact %d" % number, usedforsecurity=False).digest())


def page_view(message: str, contact: UUID, *, occurred_at: datetime, received_at: datetime, path: str) -> Touch:
    """Return a page view as ingest publishes it."""
    return Touch(
        id=touch_id("website", message),
        contact_id=contact,
        source="website",
        kind="web",
        type=TouchType.PAGE,
        name=path,
        occurred_at=occurred_at,
        received_at=received_at,
        url=f"https://www.harbour.example{path}",
        path=path,
        title=path,
        referrer="https://www.search.example/",
        properties={"path": path, "url": f"https://www.harbour.example{path}", "title": path},
    )


def any_path(dice: random.Random) -> str:
    """Return a page of the site: most are read by few."""
    return dice.choice(("/", "/pricing", "/jobs", *(f"/section-{dice.randrange(RULES - 4):02}/page" for _ in range(3))))


@dataclass(frozen=True, slots=True)
class Life:
    """What one contact did and what the scorer knows of it then."""

    touches: list[Touch]
    state: ContactState


def lives(terms: Terms, *, touches: int, now: datetime, tag: str = "") -> Iterator[Life]:
    """Yield lives of so many touches each, as the scorer would have counted them."""
    dice = random.Random(7)
    nobody = UUID(int=0)
    for number in range(LIVES):
        state = ContactState(agreement=terms.version, counting=terms.counting)
        at = sorted(now - timedelta(seconds=dice.randrange(86400 * 90)) for _ in range(touches))
        done = [
            page_view(f"{tag}{number}/{place}", nobody, occurred_at=when, received_at=when, path=any_path(dice))
            for place, when in enumerate(at)
        ]
        done[0] = msgspec.structs.replace(
            done[0],
            traits={"title": dice.choice(_TITLES), "name": f"Person {number}", "email": f"p{number}@firm.example"},
            account_domain=f"firm{number}.example",
            account_traits={"industry": dice.choice(_INDUSTRIES)},
        )
        for touch in done:
            take_touch(nobody, state, touch, terms)
        yield Life(done, state)


async def populate(database_url: str, terms: Terms, *, contacts: int, touches: int) -> None:
    """Fill a migrated database with contacts of so many touches each."""
    made = list(lives(terms, touches=touches, now=datetime.now(UTC)))
    states = []
    for number, life in enumerate(made):
        rearms_at = life.state.arming.rearms_at
        cools_at = None if rearms_at is None else from_micros(rearms_at)
        states.append((number, life.state.account_id(), encode_state(life.state), cools_at))
    async with connected(database_url) as connection:
        await connection.execute(_TEMPLATES + _SOMEBODY.format(lives=LIVES, last=contacts - 1))
        await connection.copy_records_to_table("life", records=states)
        await connection.execute(_CONTACTS)
        await _add_touches(connection, made)
    await settle(database_url)


async def deepen(database_url: str, terms: Terms, *, contacts: int, touches: int) -> None:
    """Give each contact more history, which its state does not know of: as if it had been counted long ago."""
    async with connected(database_url) as connection:
        await connection.execute(_TEMPLATES + _SOMEBODY.format(lives=LIVES, last=contacts - 1))
        before = datetime.now(UTC) - timedelta(days=365)
        await _add_touches(connection, list(lives(terms, touches=touches, now=before, tag="old ")))
    await settle(database_url)


async def settle(database_url: str) -> None:
    """Have PostgreSQL do what filling, or another benchmark, left to it: that is not measured."""
    async with connected(database_url) as connection:
        for table in ("contact", "touch"):
            await connection.execute(f"VACUUM ANALYZE scorer.{table}")
        await connection.execute("CHECKPOINT")


async def _add_touches(connection: asyncpg.Connection, made: list[Life]) -> None:
    deeds = [
        (number, touch.id, touch.occurred_at, msgspec.json.encode(touch))
        for number, life in enumerate(made)
        for touch in life.touches
    ]
    await connection.copy_records_to_table("deed", records=deeds)
    await connection.execute(_TOUCHES)


_TEMPLATES = """
    CREATE TEMP TABLE life (number int, account_id uuid, state bytea, cools_at timestamptz);
    CREATE TEMP TABLE deed (number int, id uuid, at timestamptz, payload bytea);
"""
_SOMEBODY = """
    CREATE TEMP TABLE somebody AS
    SELECT md5('contact ' || number)::uuid AS id, number % {lives} AS number FROM generate_series(0, {last}) AS number
"""
# In the order of the ids, which fills faster.
_CONTACTS = """
    INSERT INTO scorer.contact (id, account_id, state, cools_at, agreement)
    SELECT somebody.id, account_id, state, cools_at, 1 FROM somebody JOIN life USING (number) ORDER BY somebody.id
"""
_TOUCHES = """
    INSERT INTO scorer.touch (contact_id, id, occurred_at, received_at, payload)
    SELECT somebody.id, deed.id, at, at, payload FROM somebody JOIN deed USING (number) ORDER BY somebody.id, deed.id
"""

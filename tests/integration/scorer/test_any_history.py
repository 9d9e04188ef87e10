"""Whatever happens to the same touches on their way, they end in the scores that plain code computes out of them."""

import random
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.scorer.store import tables
from shared.events.contact import encode_contact
from shared.events.topics import TopicName
from shared.events.touch import Touch
from shared.ids import contact_id, derived_id
from tests.integration.scorer.conftest import Rig, open_rig
from tests.integration.scorer.test_merging import a_life, a_merge
from tests.support.killing import Mortal
from tests.support.reference_model import final, people
from tests.support.touches import NOON, TEXT, agreement, changed

VERSIONS = (
    TEXT,
    changed(("points: 10,", "points: 17,")),
    changed(("half_life: 30d", "half_life: 7d")),
    changed(("/pricing*", "/blog/*"), ("cap: 30", "cap: 3")),
)

# What happens besides touches, anywhere between them.
happenings = st.one_of(
    st.tuples(st.just("kill"), st.integers(1, 60)),
    st.tuples(st.just("sign"), st.integers(0, len(VERSIONS) - 1)),
    st.tuples(st.just("replay"), st.integers(1, 20)),
    st.tuples(st.just("sweep"), st.integers(1, 3)),
    st.tuples(st.just("merge"), st.integers(0, 1)),
)


@given(
    seed=st.integers(0, 1 << 32),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    happening=st.dictionaries(st.integers(0, 20), happenings, max_size=8),
)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each example takes a database's time
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_order_batches_repeats_merges_versions_and_crashes(
    rig: Rig, database_url: str, seed: int, sizes: list[int], happening: dict[int, tuple[str, int]]
) -> None:
    """Scores, touches, opt-outs and verdicts are those of all touches under the version that both sides signed last."""
    await forget(rig)
    dice = random.Random(seed)
    contacts = [contact_id("user", f"{seed}/{number}") for number in range(5)]
    touches = [touch for contact in contacts for touch in a_life(contact, dice)]
    arriving = [*touches, *dice.sample(touches, len(touches) // 3)]
    dice.shuffle(arriving)
    merges = [(contacts[dice.randrange(number)], contacts[number]) for number in (3, 4)]
    made: list[tuple[UUID, UUID]] = []
    signed = VERSIONS[0]
    await rig.activate(titled(signed, f"{seed} begin"))
    step = 0
    while arriving:
        size = sizes[step % len(sizes)]
        batch, arriving = arriving[:size], arriving[size:]
        match happening.get(step):
            case ("kill", wait):
                await killed_with(database_url, batch, wait=wait)
            case ("sign", number):
                signed = VERSIONS[number]
                await rig.agree(titled(signed, f"{seed} {step}"))
            case ("replay", steps):
                for _ in range(steps):
                    await rig.replaying.go_on(limit=2)
            case ("sweep", limit):
                await rig.sweeper.apply_agreement(limit=limit)
            case ("merge", number) if merges[number] not in made:
                made.append(merges[number])
                message = a_merge(*merges[number], merge_id=derived_id("merge", seed, number))
                await rig.give_records(encode_contact(message), topic=TopicName.CONTACTS)
            case _:
                pass
        await rig.give(*batch)
        step += 1
    await rig.replay()
    await rig.sweep()

    for who, did in people(touches, made).items():
        expected = final(did, agreement(signed), as_of=NOON)
        shown = await rig.get(f"/v1/contacts/{who}", as_of=NOON.isoformat())
        assert abs(shown["engagement"]["score"] - expected.score) <= 1e-9 * max(1.0, expected.score)
        assert sum(part["value"] for part in shown["engagement"]["parts"]) == shown["engagement"]["score"]
        assert (shown["touches"], shown["opted_out"]) == (expected.touches, expected.opted_out)
        listed = (await rig.get(f"/v1/contacts/{who}/touches", limit=200))["touches"]
        reasons = {touch["id"]: touch["suspect"]["reason"] for touch in listed if touch["suspect"]}
        assert reasons == {str(touch): reason for touch, reason in expected.suspect.items()}
    told = [handoff.id for handoff in await rig.handoffs()]
    assert len(told) == len(set(told))


def titled(text: str, title: str) -> str:
    """Return the text as a version of its own."""
    return text.replace("title: What", f"title: {title} What")


async def killed_with(database_url: str, batch: list[Touch], *, wait: int) -> None:
    """Have a process killed while it handles the batch, or just after."""
    async with open_rig(database_url, now=NOON + timedelta(minutes=1)) as process:
        await Mortal(process.engine).run(process.give(*batch, number=1), wait=wait, over=bool(wait % 2))


async def forget(rig: Rig) -> None:
    """Empty what an example before has left."""
    async with rig.engine.begin() as connection:
        for table in (tables.contact, tables.touch, tables.alias, tables.outbox, tables.merge):
            await connection.execute(table.delete())

"""Contacts explained over HTTP: now, at earlier instants, and under any version of the agreement."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import event

from shared.events.contact import ContactsMerged, encode_contact
from shared.events.topics import TopicName
from tests.integration.scorer.conftest import Rig
from tests.support.random_contacts import VERSIONS, random_steps, touches_of
from tests.support.reference_explanation import explained
from tests.support.touches import ADA, BEN, NOON, a_demo_request, a_profile, a_touch, a_track, agreement

DAY = timedelta(days=1)


async def test_what_is_missing_and_why(rig: Rig) -> None:
    """In words and as data: what there is, what is needed, and the trait that nobody told."""
    await rig.activate()
    await rig.give(a_profile("who", account_traits={}), *(a_touch(n, path="/blog/x") for n in range(6)))

    contact = await rig.get(f"/v1/contacts/{ADA}")

    assert contact["missing"] == [
        "engagement 30 of 50",  # 6 · 4 + 6 · 1
        "fit 40 of 50: industry unknown",
        "2 more touches",
        "stage first_thought, needs active_looking",
    ]
    assert contact["gaps"] == [
        {"what": "engagement", "words": contact["missing"][0], "have": 30.0, "need": 50.0},
        {
            "what": "fit",
            "words": contact["missing"][1],
            "have": 40.0,
            "need": 50.0,
            "unknown": [{"field": "account.industry", "rule": "target-industry", "points": 40.0}],
        },
        {"what": "touches", "words": "2 more touches", "have": 6, "need": 8},
        {"what": "stage", "words": contact["missing"][3], "have": "first_thought", "need": "active_looking"},
    ]
    assert contact["fit"]["unmet"] == ["target-industry"]
    assert contact["engagement"]["unmet"] == ["demo-requested", "pricing-viewed", "comparison-read", "email-clicked"]
    assert contact["evidence"] == [
        {"stage": "first_thought", "rule": "blog-read", "at": "2026-03-01T12:00:00Z", "until": "2026-05-30T12:00:00Z"}
    ]


async def test_what_was_cut_and_what_counts_nothing(rig: Rig) -> None:
    """Groups show their cap and what it cut; touches over a daily limit, of machines, and after an opt-out are 0."""
    await rig.activate()
    await rig.give(
        *(a_touch(n, path="/pricing") for n in range(3)),
        *(a_touch(f"blog {n}", path="/blog/x") for n in range(10)),
        a_touch("bot", path="/pricing", suspect="bot_user_agent"),
    )
    contact = await rig.get(f"/v1/contacts/{ADA}")
    await rig.give(a_track("out", "Preferences Changed", opted_out=True))
    left_alone = await rig.get(f"/v1/contacts/{ADA}")

    pricing = contact["engagement"]["parts"][0]
    assert (pricing["rule"], pricing["count"], pricing["over"], pricing["suspect"]) == ("pricing-viewed", 2, 1, 1)
    groups = {group["group"]: group for group in contact["engagement"]["groups"]}
    assert groups["content"] == {"group": "content", "cap": 30.0, "sum": 40.0, "counts": 30.0, "cut": 10.0}
    assert groups["email"] == {"group": "email", "cap": 20.0, "sum": 0.0, "counts": 0.0, "cut": 0.0}
    assert [part["opted_out"] for part in left_alone["engagement"]["parts"] if part.get("rule")] == [2, 10, 13]
    assert left_alone["engagement"]["parts"][-1] == {
        "adjustment": "opted_out",
        "value": -contact["engagement"]["score"],
        "shown": f"-{contact['engagement']['shown']}",
        "count": 25,
    }
    assert (left_alone["engagement"]["score"], left_alone["engagement"]["shown"]) == (0, "0.00")


async def test_how_long_it_lasts(rig: Rig) -> None:
    """When engagement falls below each level, when evidence ends, and what stands before the next handoff."""
    await rig.activate()
    await rig.give(a_profile("who"), *(a_touch(n, path="/pricing") for n in range(8)))
    cold = await rig.get(f"/v1/contacts/{ADA}")
    await rig.give(a_demo_request("please"))
    warm = await rig.get(f"/v1/contacts/{ADA}")

    assert cold["arming"]["words"].startswith("free: it is handed off by the next touch")
    assert [(fall["what"], fall["below"], fall["at"]) for fall in cold["cooling"]["engagement"]] == [
        ("ready", True, None),
        ("rearm", True, None),
    ]
    assert warm["engagement"]["score"] == 78  # 20 + 8 + 50
    # 78 halved every 30 days is 50 after 19.2 days and 35 after 34.7; evidence for deciding ends after 14.
    ready, rearm = warm["cooling"]["engagement"]
    assert (ready["level"], ready["at"][:10]) == (50, "2026-03-20")
    assert (rearm["level"], rearm["at"][:10]) == (35, "2026-04-05")
    assert warm["arming"]["until"] == rearm["at"]
    assert warm["cooling"]["ready_until"] == "2026-03-15T12:00:00Z"
    assert warm["arming"]["words"].endswith("falls below 35, if nothing more happens on 2026-04-05")


async def test_under_another_version(rig: Rig) -> None:
    """Whatever it changes, of the past and of a draft; a version that there is not is told."""
    first = await rig.activate()
    await rig.give(a_touch(1, path="/blog/x"), a_touch(2, path="/brochure"))
    second = await rig.activate(VERSIONS[3])
    await rig.sweep()
    draft = (await rig.propose(VERSIONS[2]))["version"]

    shown = {version: await rig.get(f"/v1/contacts/{ADA}", version=version) for version in (first, second, draft)}

    assert {version: contact["agreement"] for version, contact in shown.items()} == {each: each for each in shown}
    assert shown[first]["engagement"]["score"] == 6  # 4 + 2
    assert shown[second]["engagement"]["score"] == 10  # 2 · 4 + 2
    assert shown[draft]["engagement"]["score"] == 1  # 4 - 3
    assert shown[second] == await rig.get(f"/v1/contacts/{ADA}")
    unknown = await rig.call("GET", f"/v1/contacts/{ADA}?version=9")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "agreement_not_found")


async def test_only_the_row_is_read(rig: Rig) -> None:
    """What a contact is now costs the same however much it did: its touches are read only for the past."""
    await rig.activate()
    await rig.give(*(a_touch(n, path="/pricing", at=NOON - n * DAY) for n in range(30)))
    asked: list[str] = []
    event.listen(rig.engine.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    await rig.get(f"/v1/contacts/{ADA}")
    await rig.get(f"/v1/contacts/{ADA}", as_of="2026-04-01T00:00:00Z")
    await rig.get(f"/v1/contacts/{ADA}", version=1)
    now = [statement for statement in asked if "scorer.touch" in statement]
    await rig.get(f"/v1/contacts/{ADA}", as_of="2026-02-20T00:00:00Z")

    assert now == []
    assert [statement for statement in asked if "scorer.touch" in statement] != []


async def test_before_there_was_an_agreement(rig: Rig) -> None:
    """Nothing can be scored; what had been received by then is known."""
    rig.now = NOON - 10 * DAY
    await rig.give(a_touch(1, at=NOON - 10 * DAY))
    rig.now = NOON
    await rig.activate()
    await rig.sweep()
    await rig.give(a_touch(2))

    contact = await rig.get(f"/v1/contacts/{ADA}", as_of="2026-02-28T12:00:00Z")

    assert (contact["agreement"], contact["missing"], contact["touches"]) == (None, ["no active agreement"], 1)


@pytest.mark.parametrize("seed", range(6))
async def test_random_contacts_at_random_instants(rig: Rig, seed: int) -> None:
    """Now, in the past and in the future, under each version, merged or not: it is what the raw touches come to."""
    dice = random.Random(seed)
    touches = touches_of(random_steps(dice, 60))
    touches = [msgspec.structs.replace(touch, contact_id=dice.choice([ADA, BEN])) for touch in touches]
    activated = [NOON + days * DAY for days in (-300, -60, -8, -2)]
    arriving = sorted(touches, key=lambda touch: touch.received_at)
    for text, since in zip(VERSIONS, activated, strict=True):
        while arriving and arriving[0].received_at < since:
            await rig.give(arriving.pop(0))
        rig.now = since
        await rig.activate(text)
    rig.now = NOON + 60 * DAY
    await rig.give(*arriving)
    merge = ContactsMerged(id=uuid4(), survivor=ADA, other=BEN, aliases=(), at=rig.now)
    await rig.give_records(encode_contact(merge), topic=TopicName.CONTACTS)
    await rig.sweep()

    def in_force(at: datetime) -> int:
        return sum(since <= at for since in activated)

    for at in [NOON + dice.uniform(-300, 100) * DAY for _ in range(8)]:
        for version in (None, dice.randint(1, 4)):
            query = {"as_of": at.isoformat()} | ({} if version is None else {"version": version})
            contact = await rig.get(f"/v1/contacts/{dice.choice([ADA, BEN])}", **query)
            assert contact["agreement"] == (version or in_force(at))
            _check(contact, explained(touches, agreement(VERSIONS[contact["agreement"] - 1]), at))
    history = await rig.get(f"/v1/contacts/{ADA}/history", since=(NOON - 299 * DAY).isoformat(), step="9d")
    for point in history["points"]:
        at = datetime.fromisoformat(point["at"])
        assert point["agreement"] == in_force(at)
        expected = explained(touches, agreement(VERSIONS[in_force(at) - 1]), at)
        assert point["engagement"] == pytest.approx(expected.score, rel=1e-9, abs=1e-9)
        assert (point["fit"], point["stage"], point["touches"]) == (expected.fit, expected.stage, expected.touches)
        assert point["ready"] == (not expected.missing)


def _check(contact: Any, expected: Any) -> None:
    engagement = contact["engagement"]
    assert engagement["score"] == pytest.approx(expected.score, rel=1e-9, abs=1e-9)
    assert sum(part["value"] for part in engagement["parts"]) == engagement["score"]
    rules = {part["rule"]: part for part in engagement["parts"] if "rule" in part}
    assert {rule: part["count"] for rule, part in rules.items() if part["count"]} == expected.counts
    assert {rule: part["suspect"] for rule, part in rules.items() if part["suspect"]} == +expected.suspect
    assert {rule: part["over"] for rule, part in rules.items() if part["over"]} == +expected.over
    assert contact["fit"]["score"] == expected.fit
    assert (contact["stage"], contact["touches"]) == (expected.stage, expected.touches)

"""How a contact stood over time, over HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest

from services.scorer.store import tables
from shared.events.contact import ContactsMerged, ContactsUnmerged, encode_contact
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.topics import TopicName
from shared.events.touch import Alias
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, BEN, NOON, TEXT, a_demo_request, a_profile, a_touch, a_track, changed

DAY = timedelta(days=1)


async def test_a_series(rig: Rig) -> None:
    """Each instant knows what was received by then, and decays from one to the next."""
    rig.now = NOON - 91 * DAY
    await rig.activate()
    rig.now = NOON
    late = a_touch("late", path="/pricing", at=NOON - 60 * DAY, received_at=NOON - DAY)
    await rig.give(a_profile("who", at=NOON - 45 * DAY), a_touch(1, path="/pricing", at=NOON - 60 * DAY), late)

    history = await rig.get(f"/v1/contacts/{ADA}/history", since=(NOON - 75 * DAY).isoformat(), step="15d")

    points = [(point["at"][:10], point["engagement"], point["fit"], point["touches"]) for point in history["points"]]
    assert points == [
        ("2025-12-16", 0.0, 0.0, 0),
        ("2025-12-31", 11.0, 0.0, 1),  # 10 + 1
        ("2026-01-15", pytest.approx(11 / 2**0.5), 80.0, 1),
        ("2026-01-30", 5.5, 80.0, 1),
        ("2026-02-14", pytest.approx(11 / 2**1.5), 80.0, 1),
        ("2026-03-01", 5.5, 80.0, 2),  # two, a quarter each
    ]
    assert (history["since"][:10], history["until"][:10], history["step_seconds"]) == (
        "2025-12-16",
        "2026-03-01",
        1296e3,
    )
    assert history["points"][-1]["stage"] is None
    now = await rig.get(f"/v1/contacts/{ADA}")
    assert history["points"][-1]["engagement"] == now["engagement"]["score"]


async def test_versions_in_force(rig: Rig) -> None:
    """Each instant is held against the agreement of its time; with `version` all against one."""
    rig.now = NOON - 3 * DAY
    first = await rig.activate()
    rig.now = NOON - DAY
    second = await rig.activate(changed(("points: 10, per_day: 2", "points: 20, per_day: 2")))
    rig.now = NOON
    await rig.give(a_touch(1, path="/pricing", at=NOON - 4 * DAY))
    since = (NOON - 4 * DAY).isoformat()

    history = await rig.get(f"/v1/contacts/{ADA}/history", since=since)
    under_first = await rig.get(f"/v1/contacts/{ADA}/history", since=since, version=first)

    assert [point["agreement"] for point in history["points"]] == [None, first, first, second, second]
    assert history["points"][0]["engagement"] is None
    assert history["points"][4]["engagement"] == pytest.approx(21 * 2 ** (-4 / 30))
    assert [(each["version"], each["since"], each["until"]) for each in history["agreements"]] == [
        (first, "2026-02-26T12:00:00Z", "2026-02-28T12:00:00Z"),
        (second, "2026-02-28T12:00:00Z", None),
    ]
    assert [point["engagement"] for point in under_first["points"]] == [
        pytest.approx(11 * 2 ** (-days / 30)) for days in range(5)
    ]


async def test_before_any_agreement(rig: Rig) -> None:
    """There is nothing to score by: what was done is told all the same."""
    await rig.give(a_profile("who"), a_touch(1, path="/pricing", at=NOON - DAY))

    history = await rig.get(f"/v1/contacts/{ADA}/history", since=(NOON - 2 * DAY).isoformat())

    assert history["agreements"] == []
    assert [(point["engagement"], point["touches"]) for point in history["points"]] == [(None, 0), (None, 1), (None, 1)]


async def test_what_happened(rig: Rig) -> None:
    """Handoffs, what sales said about them, and opting out; a repeat stands once."""
    version = await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    (handoff,) = await rig.handoffs()
    back = Feedback(
        id=uuid4(),
        handoff_id=handoff.id,
        contact_id=ADA,
        kind=FeedbackKind.RECYCLED,
        at=NOON + DAY,
        reason="bad_timing",
    )
    for _ in range(2):
        await rig.tell(back)
    await rig.give(a_track("out", "Unsubscribed", opted_out=True, at=NOON + 2 * DAY))

    history = await rig.get(f"/v1/contacts/{ADA}/history", until=(NOON + 3 * DAY).isoformat())
    earlier = await rig.get(f"/v1/contacts/{ADA}/history", until=NOON.isoformat())

    assert [(step["kind"], step["at"][:10], step["reason"]) for step in history["steps"]] == [
        ("handoff", "2026-03-01", "hand_raise"),
        ("recycled", "2026-03-02", "bad_timing"),
        ("opted_out", "2026-03-03", None),
    ]
    assert history["steps"][0] == {
        "kind": "handoff",
        "at": "2026-03-01T12:00:00Z",
        "handoff_id": str(handoff.id),
        "reason": "hand_raise",
        "agreement": version,
    }
    assert [step["kind"] for step in earlier["steps"]] == ["handoff"]
    assert history["points"][-1]["opted_out"] is True
    assert history["points"][-1]["engagement"] == 0


async def test_a_handoff_of_an_earlier_release(rig: Rig) -> None:
    """It kept no handoffs; the newest handoff is known from the contact's row."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    async with rig.engine.begin() as connection:
        await connection.execute(tables.handoff.delete())

    (step,) = (await rig.get(f"/v1/contacts/{ADA}/history"))["steps"]

    assert (step["kind"], step["at"], step["reason"]) == ("handoff", "2026-03-01T12:00:00Z", "hand_raise")
    assert step["agreement"] is None


async def test_merged_and_parted(rig: Rig) -> None:
    """While two are one person, both histories are one; each has its own again when that was a mistake."""
    await rig.activate()
    bens = (Alias("email", "ben@firm.example"),)
    await rig.give(a_touch(1, path="/pricing"), a_demo_request(2, contact=BEN, aliases=bens))
    merge = ContactsMerged(id=uuid4(), survivor=ADA, other=BEN, aliases=(), at=NOON)
    await rig.give_records(encode_contact(merge), topic=TopicName.CONTACTS)
    joined = await rig.get(f"/v1/contacts/{BEN}/history")
    undone = ContactsUnmerged(id=merge.id, survivor=ADA, other=BEN, aliases=bens, at=NOON)
    await rig.give_records(encode_contact(undone), topic=TopicName.CONTACTS)

    parted = [await rig.get(f"/v1/contacts/{contact}/history") for contact in (ADA, BEN)]

    assert (joined["contact"], joined["points"][-1]["engagement"], len(joined["steps"])) == (str(ADA), 61, 1)
    assert [history["points"][-1]["engagement"] for history in parted] == [11, 50]
    assert [len(history["steps"]) for history in parted] == [0, 1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"step": "soon"}, 422),
        ({"step": "1ms"}, 422),
        ({"step": "99999999999d"}, 422),
        ({"step": "1m"}, 422),  # 129,601 points
        ({"since": "2026-03-01T12:00:01Z"}, 422),  # after `until`
        ({"since": "2026-01-01T00:00:00"}, 422),
        ({"until": "0001-01-01T00:00:00Z"}, 422),
        ({"version": 0}, 422),
        ({"version": 99_999_999_999}, 422),
        ({"version": 7}, 404),
        ({"since": "0001-01-01T00:00:00Z", "step": "1000d"}, 200),
        ({"until": "9999-12-31T23:59:59Z", "since": "9999-12-31T00:00:00Z"}, 200),
        ({"until": "2026-03-01T12:00:00Z", "since": "2026-03-01T12:00:00Z"}, 200),
    ],
)
async def test_a_span(rig: Rig, query: dict[str, str], status: int) -> None:
    """Any that holds no more than a thousand points is told; of others what would be right."""
    await rig.activate(TEXT)
    await rig.give(a_touch(1))

    response = await rig.call("GET", f"/v1/contacts/{ADA}/history", params=query)

    assert response.status_code == status, response.text
    unknown = await rig.call("GET", f"/v1/contacts/{BEN}/history")
    assert unknown.json()["code"] == "contact_not_found"

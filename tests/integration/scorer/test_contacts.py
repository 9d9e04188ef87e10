"""Contacts over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events.touch import Alias, Campaign
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, NOON, a_profile, a_touch, a_track


async def test_found_by_address(rig: Rig) -> None:
    """In any case; an address that nobody has gives an empty list."""
    await rig.activate()
    await rig.give(a_profile("who", aliases=(Alias("email", "ada@acme.example"), Alias("user", "ada"))))
    await rig.give(a_profile("who", aliases=(Alias("email", "ada@acme.example"), Alias("user", "ada"))))

    found = await rig.get("/v1/contacts", email=" Ada@ACME.example")

    assert [contact["id"] for contact in found["contacts"]] == [str(ADA)]
    assert found["next"] is None
    assert found["contacts"][0]["aliases"] == [
        {"kind": "email", "value": "ada@acme.example"},
        {"kind": "user", "value": "ada"},
    ]
    assert (await rig.get("/v1/contacts", email="nobody@acme.example"))["contacts"] == []
    assert (await rig.get("/v1/contacts", email="nul\0"))["contacts"] == []


async def test_page_by_page(rig: Rig) -> None:
    """Following `next` shows every contact once."""
    people = {str(contact_id("user", f"p{number}")) for number in range(7)}
    for number in range(7):
        await rig.give(a_touch(number, contact=contact_id("user", f"p{number}")))

    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await rig.get("/v1/contacts", limit=3, **cursor)
        seen += [contact["id"] for contact in page["contacts"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert sorted(seen) == sorted(people)


async def test_the_touches_of_a_contact(rig: Rig) -> None:
    """Newest first, page by page, each with the rules that it meets."""
    await rig.activate()
    campaign = Campaign(name="spring", source="linkedin")
    await rig.give(
        *(a_touch(n, path="/pricing", at=NOON - timedelta(hours=n), campaign=campaign) for n in range(5)),
    )

    page = await rig.get(f"/v1/contacts/{ADA}/touches", limit=2)
    rest = await rig.get(f"/v1/contacts/{ADA}/touches", limit=3, cursor=page["next"])

    times = [touch["occurred_at"] for touch in page["touches"] + rest["touches"]]
    assert times == [f"2026-03-01T{12 - n:02}:00:00Z" for n in range(5)]
    assert rest["next"] is None
    assert page["touches"][0]["rules"] == ["pricing-viewed", "page-viewed"]
    assert page["touches"][0]["campaign"] == {"name": "spring", "source": "linkedin"}
    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert contact["first_campaign"] == {"name": "spring", "source": "linkedin"}


async def test_a_rule_that_is_worth_nothing(rig: Rig) -> None:
    """Its part has all of its numbers too."""
    await rig.activate()
    await rig.give(a_track(1, "Email Opened"))

    contact = await rig.get(f"/v1/contacts/{ADA}")

    assert contact["engagement"]["parts"] == [
        {
            "rule": "email-opened",
            "group": "email",
            "count": 1,
            "decayed": 1.0,
            "points": 0.0,
            "value": 0.0,
            "shown": "0.00",
            "suspect": 0,
            "over": 0,
            "opted_out": 0,
        }
    ]


async def test_at_another_instant(rig: Rig) -> None:
    """A score can be asked for as of any instant: a month later half of it is left."""
    await rig.activate()
    await rig.give(a_touch(1, path="/pricing"))

    contact = await rig.get(f"/v1/contacts/{ADA}", as_of="2026-03-31T12:00:00Z")

    assert contact["engagement"]["score"] == 5.5  # (10 + 1) / 2
    assert contact["as_of"] == "2026-03-31T12:00:00Z"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/contacts/{ADA}", 404, "contact_not_found"),
        (f"/v1/contacts/{ADA}/touches", 404, "contact_not_found"),
        ("/v1/contacts/ada", 422, "invalid_request"),
        ("/v1/contacts/ada/touches", 422, "invalid_request"),
        ("/v1/contacts?cursor=x", 422, "invalid_cursor"),
        ("/v1/contacts?cursor=%00", 422, "invalid_cursor"),
        ("/v1/contacts?limit=0", 422, "invalid_request"),
        ("/v1/contacts?limit=201", 422, "invalid_request"),
        ("/v1/contacts?as_of=2026-03-01T12:00:00", 422, "invalid_request"),
        ("/v1/contacts?as_of=soon", 422, "invalid_request"),
        (f"/v1/contacts/{ADA}/touches?cursor=MTI", 422, "invalid_cursor"),
        ("/v1/agreements/0", 422, "invalid_request"),
        ("/v1/agreements/x", 422, "invalid_request"),
        ("/v1/agreements/99999999999", 422, "invalid_request"),
        ("/v1/agreements/9", 404, "agreement_not_found"),
        ("/v1/agreements?cursor=eA", 422, "invalid_cursor"),
    ],
)
async def test_a_wrong_question(rig: Rig, path: str, status: int, code: str) -> None:
    """The answer is a problem with a code, and says what would be right."""
    response = await rig.call("GET", path)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code

"""Links in messages: opening them changes nothing, and each answers once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from shared.events.feedback import FeedbackKind
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter
from tests.integration.router.test_clock import clocks_set
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver

KEY = Fernet.generate_key().decode()
MINUTE = timedelta(minutes=1)


async def sent(router: RunningRouter, receiver: Receiver) -> tuple[UUID, dict[str, str]]:
    """Hand over a lead; return its id and the paths of the links that its rep got."""
    handoff = make_handoff()
    await router.hand_over(handoff)
    requests = await receiver.wait_for(len(receiver.requests) + 1)
    return handoff.id, paths(requests[-1].payload)


def paths(payload: Any) -> dict[str, str]:
    """Return the links of a message without the host; the text for people has them too."""
    links = payload["data"]["links"]
    assert all(link in payload["data"]["brief"]["text"] for link in links.values())
    return {name: str(httpx.URL(link).raw_path, "ascii") for name, link in links.items()}


async def test_a_link(start_router: StartRouter, receiver: Receiver) -> None:
    """Scanners may open it and send its form; who ticks the box answers, once."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        handoff, links = await sent(router, receiver)
        opened = [await router.http.request(method, links["accept"]) for method in ("GET", "HEAD", "GET")]
        unticked = await router.http.post(links["accept"], data={"note": "x"})
        before = await router.state(handoff)
        taken = await router.http.post(links["accept"], data={"sure": "yes", "note": "on it"})
        again = await router.http.post(links["accept"], data={"sure": "yes"})
        won = await router.http.post(links["qualify"], data={"sure": "yes"})
        wrong = await router.http.post(links["win"], data={"sure": "yes", "amount": "12.345", "currency": "EUR"})
        won = await router.http.post(links["win"], data={"sure": "yes", "amount": "12.34", "currency": "EUR"})
        feedback = await router.wait_for_feedback(4)
        history = (await router.call("GET", f"/v1/handoffs/{handoff}"))["history"]

    assert [answer.status_code for answer in opened] == [200, 200, 200]
    assert "Ada Byrne at Acme Freight" in opened[0].text
    assert "default-src 'none'" in opened[0].headers["content-security-policy"]
    assert (unticked.status_code, before) == (422, "assigned")
    assert (taken.status_code, again.status_code, wrong.status_code, won.status_code) == (200, 409, 422, 200)
    assert "at most 2 decimals" in wrong.text
    assert 'value="12.345"' in wrong.text  # nobody types it again
    assert [item.kind for item in feedback[1:]] == [
        FeedbackKind.ACCEPTED,
        FeedbackKind.QUALIFIED,
        FeedbackKind.WON,
    ]
    assert (str(feedback[3].amount), feedback[3].currency) == ("12.34", "EUR")
    assert [step["by"] for step in history[2:]] == ["Rita by link"] * 3


async def test_a_rejection(start_router: StartRouter, receiver: Receiver) -> None:
    """The form has the agreement's reasons; without one the page says what is wrong, and the link is not used up."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        handoff, links = await sent(router, receiver)
        page = await router.http.get(links["reject"])
        refused = [
            await router.http.post(links["reject"], data={"sure": "yes", **fields})
            for fields in ({}, {"reason": "because"}, {"reason": "other", "colour": "red"})
        ]
        taken = await router.http.post(
            links["reject"], data={"sure": "yes", "reason": "no_budget", "objection": "Price"}
        )
        await router.wait_for_state(handoff, "recycled")
        feedback = await router.wait_for_feedback(3)

    assert 'value="no_budget"' in page.text
    assert [answer.status_code for answer in refused] == [422, 422, 422]
    assert taken.status_code == 200
    assert (feedback[1].reason, feedback[1].objection) == ("no_budget", "Price")


async def test_everything_that_opens_a_link(start_router: StartRouter, receiver: Receiver) -> None:
    """Whatever a mail scanner does to any of the links of a message, short of ticking the box, nothing is changed."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        handoff, links = await sent(router, receiver)
        await router.wait_for_delivery("delivered")
        await clocks_set(router)
        before = await everything(router)
        answers = [
            (method, (await router.http.request(method, path, content=body)))
            for path in links.values()
            for method, body in (("GET", b""), ("HEAD", b""), ("OPTIONS", b""), ("PUT", b"sure=yes"), ("DELETE", b""))
        ]
        pages = [await router.http.post(path, data={"sure": sure}) for path in links.values() for sure in ("", "on")]
        after = await everything(router)

    assert before == after
    assert {method for method, answer in answers if answer.is_success} == {"GET", "HEAD"}
    assert {answer.status_code for method, answer in answers if method in {"PUT", "DELETE"}} == {405}
    assert all(answer.text == "" for method, answer in answers if method == "HEAD")
    assert all(answer.status_code in {409, 422} for answer in pages)
    assert str(handoff) not in "".join(answer.text for _, answer in answers)


async def everything(router: RunningRouter) -> dict[str, Any]:
    """Return all rows that an answer could change."""
    async with router.platform.engine.connect() as connection:
        tables = ("handoff", "handoff_event", "used_link", "delivery")
        return {
            table: (await connection.execute(text(f"SELECT * FROM router.{table} ORDER BY 1, 2"))).all()
            for table in tables
        }


@pytest.mark.parametrize(
    ("ahead", "status"), [(timedelta(days=31), 410), (timedelta(minutes=21), 409)], ids=["expired", "reassigned"]
)
async def test_a_link_too_late(start_router: StartRouter, receiver: Receiver, ahead: timedelta, status: int) -> None:
    """A link ends with its time, and when somebody else was given the lead."""
    async with start_router(secret_key=KEY) as router:
        team = [{"name": "crm", "url": receiver.url}]
        await router.set_team(endpoints=team)
        handoff, links = await sent(router, receiver)
        if status == 410:
            await router.call("POST", f"/v1/handoffs/{handoff}/accept")
            router.clock.ahead += ahead
            path = links["qualify"]
        else:
            await router.wait_for_delivery("delivered")
            router.clock.ahead += ahead
            await router.set_team(endpoints=team)
            await router.wait_for_state(handoff, "reassigned")
            path = links["accept"]
        before = await router.state(handoff)
        answers = [await router.http.get(path), await router.http.post(path, data={"sure": "yes"})]

        assert [answer.status_code for answer in answers] == [status, status]
        assert await router.state(handoff) == before


async def test_what_is_no_link(router: RunningRouter) -> None:
    """Nothing but a page that says so, whatever is sent."""
    for path in ("x", "A" * 75, "%00"):
        for method in ("GET", "POST"):
            answer = await router.http.request(method, f"/v1/answers/{path}", content=b"\xff=%zz")
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")

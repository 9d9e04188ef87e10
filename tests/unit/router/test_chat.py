"""Handoffs as messages in Slack and Teams: within the limits of both, and nothing in them but text."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.chat import slack_message, teams_message
from shared.events.handoff import Words
from tests.support.handoffs import DECIDED_AT, given_to_priya, make_handoff

LINKS = {"accept": "https://tandem.example/a?token=1", "reject": "https://tandem.example/r?token=1"}


def envelope(**known: Any) -> dict[str, Any]:
    """Return the webhook of a handoff as its receivers read it."""
    handoff = make_handoff(**known)
    message = given_to_priya(handoff)
    read: dict[str, Any] = json.loads(message.body)
    read["data"]["links"] = LINKS
    return read


def test_a_lead_in_slack() -> None:
    """The rep and the person stand in the title, each part of the brief in a section, the answers are buttons."""
    message = slack_message(envelope())
    header, *sections, actions = message["blocks"]

    assert header["text"]["text"] == "Priya Raman: Ada Byrne, Director of Operations at Acme Freight"
    assert message["text"] == header["text"]["text"]  # what notifications show
    assert any(section["text"]["text"].startswith("Why now: Asked to talk to sales") for section in sections)
    assert [button["url"] for button in actions["elements"]] == list(LINKS.values())


def test_a_lead_in_teams() -> None:
    """The same as an Adaptive Card."""
    (attachment,) = teams_message(envelope())["attachments"]
    card = attachment["content"]

    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["text"] == "Priya Raman: Ada Byrne, Director of Operations at Acme Freight"
    assert [(action["title"], action["url"]) for action in card["actions"]] == [
        ("Accept", LINKS["accept"]),
        ("Reject", LINKS["reject"]),
    ]


def test_what_somebody_typed_is_no_markup() -> None:
    """A form answer can neither ring everybody nor hide a link."""
    words = (
        Words(at=DECIDED_AT, field="message", text="<!channel> <https://evil.example|click> [x](https://e.example)"),
    )
    slack = json.dumps(slack_message(envelope(words=words))["blocks"], ensure_ascii=False)
    card = json.dumps(teams_message(envelope(words=words))["attachments"][0]["content"]["body"], ensure_ascii=False)

    assert "<!channel>" not in slack
    assert "<https" not in slack
    assert "[x](" not in card


def test_a_message_that_is_about_no_lead() -> None:
    """It has a title, and neither sections nor buttons."""
    other = {"type": "contact.erased", "data": {"contact": {"id": "1"}}}

    assert [block["type"] for block in slack_message(other)["blocks"]] == ["header"]
    assert len(teams_message(other)["attachments"][0]["content"]["body"]) == 1


@given(text=st.text(max_size=5_000), name=st.text(max_size=400))
def test_the_limits_of_both(text: str, name: str) -> None:
    """Whatever people typed, Slack and Teams take the message."""
    words = tuple(Words(at=DECIDED_AT, field="message", text=f"{number} {text}") for number in range(10))
    known = envelope(words=words, traits={"name": name})
    blocks = slack_message(known)["blocks"]

    assert len(blocks) <= 50
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3_000 for block in blocks if block["type"] == "section")
    assert len(json.dumps(teams_message(known), ensure_ascii=False).encode()) <= 28_000

"""What `docs/webhooks.md` shows is what a receiver gets, and its code works."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from jsonschema import Draft202012Validator

from services.router.domain.endpoint import EndpointEvent
from services.router.domain.erasure import CONTACT_ERASED, render_contact_erased
from services.router.domain.handoff import State
from services.router.domain.nurture import CONTACT_NURTURE, render_nurture
from services.router.domain.team_reading import read_team
from services.router.domain.webhook import EXPIRED, LEAD_READY, Message, render_expired
from services.router.domain.webhook_schema import NURTURE_SCHEMA, webhook_schemas
from services.router.settings import RouterSettings
from shared.durations import parse_duration
from shared.events.contact import ContactErased
from shared.events.nurture import ContactNurture, NurtureKind
from shared.events.touch import Alias
from tests.support.handoffs import DECIDED_AT, given_to_priya, make_handoff
from tests.support.signed import signed_headers

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(language: str, about: str = "") -> str:
    """Return the only block of this language that holds the text."""
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)\n```", PAGE, flags=re.DOTALL) if about in text)
    return str(found)


def example() -> Message:
    handoff = make_handoff(
        handoff_id=UUID("0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b"),
        contact_id=UUID("7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5"),
    )
    return given_to_priya(handoff, public_url="https://tandem.harbour.example")


def test_the_body() -> None:
    """The body on the page is one that Tandem renders, under the id on the page."""
    message = example()

    assert json.loads(block("json", LEAD_READY)) == json.loads(message.body)
    assert f"`webhook-id: {message.id}`" in PAGE


def test_the_erasure() -> None:
    """So is the message that tells of an erasure."""
    contact, handoff = UUID("7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5"), UUID("0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b")
    erased = ContactErased(id=UUID(int=1), contact_ids=(contact,), at=datetime(2026, 3, 9, 8, tzinfo=UTC))
    message = render_contact_erased(erased, contact, endpoint="crm", handoffs=[handoff])

    assert json.loads(block("json", CONTACT_ERASED)) == json.loads(message.body)


def test_what_expired() -> None:
    """So is the message that tells a rep that a lead is theirs no more."""
    handoff = make_handoff(handoff_id=UUID("0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b"))
    message = render_expired(
        handoff,
        step=2,
        at=DECIDED_AT + timedelta(minutes=20),
        previous="Priya Raman",
        rep="Tom Okafor",
        state=State.REASSIGNED,
    )

    assert json.loads(block("json", f'"{EXPIRED}"')) == json.loads(message.body)


def test_what_marketing_is_told() -> None:
    """So is the message to marketing, and the team on the page has an endpoint that gets it."""
    nurture = ContactNurture(
        id=UUID(int=1),
        contact_id=UUID("7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5"),
        kind=NurtureKind.RECYCLED,
        at=datetime(2026, 3, 5, 14, 20, tzinfo=UTC),
        agreement=3,
        stage="active_looking",
        before="deciding",
        engagement=31.5,
        fit=80.0,
        touches=14,
        aliases=(Alias(kind="email", value="ada@acme-freight.example"),),
        account_domain="acme-freight.example",
        handoff_id=UUID("0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b"),
        reason="bad_timing",
    )
    message = render_nurture(nurture)
    team = read_team(
        "reps: [{name: Rita, email: rita@harbour.example}]\npools: [{name: all, members: [Rita]}]\n"
        + block("yaml", "name: marketing")
    )

    assert json.loads(block("json", CONTACT_NURTURE)) == json.loads(message.body)
    Draft202012Validator(webhook_schemas()[NURTURE_SCHEMA]).validate(json.loads(message.body))
    assert [endpoint.name for endpoint in team.endpoints if endpoint.wants(EndpointEvent.CONTACT_NURTURE)] == [
        "marketing"
    ]
    assert [endpoint.name for endpoint in team.endpoints if endpoint.serves(pool="all", rep="Rita")] == ["crm"]


def test_the_headers() -> None:
    """The table lists exactly the headers that identify an attempt, and those that describe it."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = signed_headers(example(), secret=SECRET, at=DECIDED_AT, traceparent=trace)
    listed = re.findall(r"^\| `([\w-]+)` \| ", PAGE, flags=re.MULTILINE)

    assert set(listed) == set(headers) - {"accept-encoding"}
    assert f"`{headers['user-agent']}`" in PAGE


def test_the_receiver() -> None:
    """The receiver on the page takes what we sign, once, and refuses what somebody changed."""
    seen: set[str] = set()

    def already_seen(webhook_id: str) -> bool:
        known = webhook_id in seen
        seen.add(webhook_id)
        return known

    said: list[str] = []
    scope: dict[str, object] = {"already_seen": already_seen, "print": lambda *words: said.append(words[0])}
    exec(block("python"), scope)
    receive = scope["receive"]
    assert callable(receive)
    message = example()
    headers = signed_headers(message, secret=SECRET, at=datetime.now(UTC))

    assert [receive(headers, message.body, SECRET), receive(headers, message.body, SECRET)] == [204, 204]
    assert receive(headers, message.body.replace(b"Priya", b"Pryia"), SECRET) == 400
    assert said == ["Priya Raman"]


def test_the_schedule() -> None:
    """The pauses on the page are the default ones."""
    (listed,) = re.findall(r"tried again after (.*?) \(`TANDEM_DELIVERY_RETRIES`\)", PAGE)
    pauses = [parse_duration(pause.replace(" min", "m").replace(" ", "")) for pause in re.split(r", | and ", listed)]

    assert tuple(pauses) == RouterSettings.model_fields["delivery_retries"].default


def test_the_settings() -> None:
    """Every setting on the page exists."""
    named = re.findall(r"TANDEM_([A-Z_]+)", PAGE)

    assert {name.lower() for name in named} <= set(RouterSettings.model_fields)

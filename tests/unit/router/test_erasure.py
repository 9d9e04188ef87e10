"""What remains of a handoff, and what its receivers are told."""

from datetime import UTC, datetime
from uuid import uuid4

import jsonschema
import msgspec

from services.router.domain.brief import write_brief
from services.router.domain.erasure import is_stripped, render_contact_erased, stripped
from services.router.domain.webhook_schema import CONTACT_ERASED_SCHEMA, webhook_schemas
from shared.events.contact import ContactErased
from shared.events.handoff import decode_handoff, encode_handoff
from tests.support.handoffs import make_handoff


def test_what_remains_of_a_handoff() -> None:
    """Ids, times and scores; it can still be read and shown, and nothing in it tells about the person."""
    handoff = make_handoff()
    left = stripped(handoff)
    written = encode_handoff(left)

    assert (left.id, left.decided_at, left.engagement.score) == (handoff.id, handoff.decided_at, 71.5)
    assert is_stripped(left)
    assert not is_stripped(handoff)
    assert decode_handoff(written) == left
    assert write_brief(left).who.email == ""
    for word in (b"acme", b"Ada", b"Pricing", b"re-keying", b"newsletter", b"pricing-viewed"):
        assert word not in written


def test_what_an_endpoint_is_told() -> None:
    """The same message under the same id each time, another id for another endpoint; and it meets its schema."""
    contact, handoffs = uuid4(), [uuid4()]
    erased = ContactErased(id=uuid4(), contact_ids=(contact,), at=datetime(2026, 3, 9, 8, tzinfo=UTC))
    message = render_contact_erased(erased, contact, endpoint="crm", handoffs=handoffs)

    assert render_contact_erased(erased, contact, endpoint="crm", handoffs=handoffs) == message
    assert render_contact_erased(erased, contact, endpoint="chat", handoffs=handoffs).id != message.id
    jsonschema.validate(msgspec.json.decode(message.body), webhook_schemas()[CONTACT_ERASED_SCHEMA])

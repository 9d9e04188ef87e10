"""Records of `handoffs`: whatever arrives is a handoff that can be briefed, an opt-out, or a kept rejection."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.availability import Roster
from services.router.domain.endpoint import Endpoint
from services.router.domain.queue import Waiting, plan_assignments
from services.router.domain.team import Member, Pool, Rep, Rule, Team
from services.router.reading import Intake, read_batches
from shared.agreement.model import Condition
from shared.events.handoff import encode_handoff
from shared.events.rejected import decode_rejected
from shared.log.records import Batch, Partition, StoredRecord
from tests.support.handoffs import DECIDED_AT, make_handoff

NOW = datetime(2026, 3, 2, 11, tzinfo=UTC)
HANDOFFS = Partition("handoffs", 3)
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TEAM = Team(
    version=1,
    reps=(Rep(name="Rita", email="rita@harbour.example", capacity=100),),
    pools=(Pool(name="everyone", members=(Member("Rita"),)), Pool(name="large", members=(Member("Rita"),))),
    rules=(
        Rule(when=(Condition(field="account.employees", any_of=(">= 500", "10..20", "a*b?c*")),), pool="large"),
        Rule(when=(Condition(field="contact.a.b", any_of=(True, 5.0, "x")),), pool="large"),
    ),
    default_pool="everyone",
    endpoints=(Endpoint(name="crm", url="https://crm.example/"),),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
traits = st.dictionaries(
    st.sampled_from(["name", "first_name", "title", "email", "company", "employees", "industry", "a", "phone"]),
    json_values,
    max_size=5,
)


def read(*values: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Intake:
    records = tuple(
        StoredRecord(partition=HANDOFFS, offset=offset, key=None, value=value, headers=headers, appended_at=NOW)
        for offset, value in enumerate(values)
    )
    batch = Batch(group="router", partition=HANDOFFS, epoch=1, position=0, next_position=len(records), records=records)
    return read_batches([batch], now=NOW)


@given(st.binary(max_size=200))
def test_any_bytes(value: bytes) -> None:
    """Bytes that say nothing are rejected with themselves as proof."""
    intake = read(value)

    assert (intake.handoffs, intake.opt_outs, len(intake.rejected)) == ((), (), 1)
    rejected = decode_rejected(intake.rejected[0].value)
    assert (rejected.original, rejected.offset, rejected.reason) == (value, 0, "malformed")


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_record(data: st.DataObject) -> None:
    """A record with any part of it replaced is read or rejected, never more, never less."""
    whole: dict[str, Any] = msgspec.json.decode(encode_handoff(make_handoff()))
    key = data.draw(st.sampled_from(sorted(whole)))
    whole[key] = data.draw(json_values)
    intake = read(msgspec.json.encode(whole))

    assert len(intake.handoffs) + len(intake.opt_outs) + len(intake.rejected) == 1


@given(traits, traits)
@settings(max_examples=150)
def test_any_traits(contact: dict[str, Any], account: dict[str, Any]) -> None:
    """A handoff that was read can be assigned and rendered, whatever people put into traits."""
    (new,) = read(encode_handoff(make_handoff(traits=contact, account=account))).handoffs
    waiting = Waiting(
        id=new.ready.id,
        contact_id=new.ready.contact.id,
        ready=new.ready,
        arrived_at=DECIDED_AT,
        clock_from=None,
        pool=None,
        team_version=None,
        assignments=0,
        steps=0,
        traceparent=None,
    )
    plan = plan_assignments(Roster(TEAM, {}, now=DECIDED_AT), [waiting], public_url="https://t.example")

    assert msgspec.json.decode(plan.assignments[0].message.body)["data"]["contact"]["traits"] == contact


def test_the_same_record_again() -> None:
    """A rejection of the same record is the same rejection."""
    assert read(b"{").rejected == read(b"{").rejected
    assert read(b"{", b"{").rejected[0].id != read(b"{", b"{").rejected[1].id


@pytest.mark.parametrize(
    ("header", "kept"),
    [(TRACE, TRACE.decode()), (b"", None), (b"x\r\nevil: 1", None), (TRACE + b"\n", None), (b"\xff\0", None)],
)
def test_a_trace(header: bytes, kept: str | None) -> None:
    """Only a trace is taken for one: it ends up in a header of the webhook."""
    (new,) = read(encode_handoff(make_handoff()), headers=(("traceparent", header),)).handoffs

    assert new.traceparent == kept

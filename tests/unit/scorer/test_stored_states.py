"""States as they are stored, now and by the releases before."""

from uuid import UUID

import msgspec
import pytest

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.state import ContactState, Prepared, decode_state, encode_state, may_have_parted
from services.scorer.domain.terms import Terms
from shared.events.touch import Alias, Campaign
from tests.support.touches import ADA, BEN, a_demo_request, a_profile, a_touch, agreement, state_after

TERMS = Terms(1, agreement())


def a_full_state() -> ContactState:
    """Return a state with something of everything in it."""
    state = state_after(
        a_profile(1, traits={"employees": 10**30, "tags": ["a", {"b": None}]}, aliases=(Alias("user", "ada"),)),
        a_touch(2, path="/pricing", campaign=Campaign(name="spring")),
        a_demo_request(3, opted_out=True),
        terms=TERMS,
    )
    state.prepared = Prepared(2, dict(state.rules))
    state.arming = Arming(ArmingKind.COOLING, UUID(int=3), "threshold", 35.0, rearms_at=9, before=ArmingKind.HANDED)
    state.merged, state.parted, state.merged_into = [BEN], {BEN: UUID(int=7)}, ADA
    return state


def test_a_state_comes_back() -> None:
    """What is stored is what is read, to the last bit."""
    state = a_full_state()

    assert decode_state(encode_state(state)).told() == state.told()
    assert msgspec.to_builtins(decode_state(encode_state(state))) == msgspec.to_builtins(state)


def as_it_was(state: ContactState) -> bytes:
    """Return the state as releases stored it before it was MessagePack: JSON throughout."""
    fields = msgspec.json.decode(msgspec.json.encode(state), type=dict[str, msgspec.Raw])
    for name, value in (("traits", state.traits), ("accounts", state.accounts)):
        if name in fields:
            fields[name] = msgspec.Raw(value)
    return msgspec.json.encode(fields)


@pytest.mark.parametrize("state", [ContactState(), a_full_state()], ids=["empty", "full"])
def test_a_state_of_an_earlier_release(state: ContactState) -> None:
    """It reads as the same state, and is stored anew in the way of this release."""
    stored = as_it_was(state)
    assert stored.startswith(b"{")

    read = decode_state(stored)

    assert msgspec.to_builtins(read) == msgspec.to_builtins(state)
    assert may_have_parted(stored) == bool(state.parted)
    assert not encode_state(read).startswith(b"{")


def test_a_state_as_a_release_wrote_it() -> None:
    """These bytes were written by a scorer before states were MessagePack."""
    stored = (
        b'{"rules":{"page-viewed":[[1.16,692],1,1794232605011985,{"20766":1},0,0]},"touches":1,'
        b'"first_at":1794232605011985,"last_at":1794232605011985,'
        b'"traits":{"title":["Engineer",1794232605011985,"63035743-c2b7-5734-9cc9-23df29915538"]},'
        b'"domain":["firm.example",1794232605011985,"63035743-c2b7-5734-9cc9-23df29915538"],'
        b'"arming":{"kind":"handed","handoff_id":"63035743-c2b7-5734-9cc9-23df29915538"},"agreement":1}'
    )

    state = decode_state(stored)

    assert state.profile() == {"title": "Engineer"}
    assert state.account_domain() == "firm.example"
    assert state.rules["page-viewed"].days == {20766: 1}
    assert state.arming.handoff_id == UUID("63035743-c2b7-5734-9cc9-23df29915538")
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("stored", [b"", b"no state", b"{", b'{"touches":"many"}', b"\x81\xa7touches\xa1x"])
def test_bytes_that_are_no_state(stored: bytes) -> None:
    """They are refused, whichever release they pretend to be of."""
    with pytest.raises(msgspec.DecodeError):
        decode_state(stored)

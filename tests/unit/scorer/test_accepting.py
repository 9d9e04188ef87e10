"""Records that cannot be used, and their neighbours."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.accepting import Unusable, accept_feedback, accept_touches
from shared.events.touch import decode_touch, encode_touches
from tests.support.touches import a_touch


def test_one_bad_item() -> None:
    """It is set aside alone; what stands beside it is kept."""
    items = msgspec.json.decode(encode_touches([a_touch(1), a_touch(2), a_touch(3)]))
    items[1]["occurred_at"] = "2026-03-01T12:00:00"
    del items[2]["contact_id"]

    published, unusable = accept_touches(msgspec.json.encode(items))

    assert [(each.touch, decode_touch(each.payload)) for each in published] == [(a_touch(1), a_touch(1))]
    assert [(item.reason, item.item) for item in unusable] == [("malformed_touch", 1), ("malformed_touch", 2)]
    assert "time zone" in unusable[0].message
    assert "contact_id" in unusable[1].message
    assert msgspec.json.decode(unusable[1].original)["id"] == str(a_touch(3).id)


@given(st.binary(max_size=40) | st.sampled_from([b"null", b"{}", b"[1]", b"[[]]", b'[{"id":1}]', b"\xff"]))
def test_any_bytes(value: bytes) -> None:
    """Nothing that stands in a record is an error; what cannot be used comes with its bytes."""
    published, unusable = accept_touches(value)

    assert not published
    assert all(item.original in {value, *([value] if item.item is None else [item.original])} for item in unusable)
    assert isinstance(accept_feedback(value), Unusable)

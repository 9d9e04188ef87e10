"""Identities."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import _NAMESPACE, touch_id


@given(source=st.text(), message=st.text())
def test_the_id_of_a_touch(source: str, message: str) -> None:
    """It is the version 5 UUID of source and message id."""
    assert touch_id(source, message) == uuid.uuid5(_NAMESPACE, f"touch\x1f{source}\x1f{message}")

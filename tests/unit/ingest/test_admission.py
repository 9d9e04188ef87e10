"""What a process holds at once is bounded, and given back."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.admission import Admission
from shared.http.problems import ProblemError


def test_too_many_bytes() -> None:
    """What does not fit is refused, and the next request before its body is read."""
    admission = Admission(max_requests=10, max_bytes=100)
    with admission.entered() as one:
        one.grow(100)
        with pytest.raises(ProblemError, match="under way") as raised:
            one.grow(1)
        assert (raised.value.status, raised.value.code) == (503, "overloaded")
        assert int(raised.value.headers["Retry-After"]) > 0
        with pytest.raises(ProblemError), admission.entered():
            pass
    with admission.entered() as again:
        again.grow(100)


def test_a_body_that_would_not_fit() -> None:
    """It is refused by its stated length, which itself takes no room: it may never come."""
    admission = Admission(max_requests=10, max_bytes=100)
    with admission.entered() as one, admission.entered() as other:
        one.grow(60)
        with pytest.raises(ProblemError):
            other.expect(41)
        other.expect(40)
        one.grow(40)


def test_too_many_requests() -> None:
    """Only those that wait for the log are counted: slow senders do not keep others out."""
    admission = Admission(max_requests=2, max_bytes=100)
    with ExitStack() as stack:
        holdings = [stack.enter_context(admission.entered()) for _ in range(50)]
        for holding in holdings[:2]:
            stack.enter_context(holding.storing())
        with pytest.raises(ProblemError), holdings[2].storing():
            pass
        with pytest.raises(ProblemError), admission.entered():
            pass
    with admission.entered() as holding, holding.storing():
        assert admission.requests_storing == 1
    assert admission.requests_storing == 0


@given(st.lists(st.lists(st.integers(0, 50), max_size=5), max_size=20))
def test_any_requests(requests: list[list[int]]) -> None:
    """Never more than the limit is held, and nothing once all are answered."""
    admission = Admission(max_requests=5, max_bytes=100)
    with ExitStack() as stack:
        for chunks in requests:
            try:
                holding = stack.enter_context(admission.entered())
                for chunk in chunks:
                    holding.grow(chunk)
            except ProblemError:
                pass
            assert 0 <= admission.bytes_held <= 100
    assert admission.bytes_held == 0

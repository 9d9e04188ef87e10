"""The examples in `docs/scoring.md` are true."""

import re
from datetime import UTC, datetime

import pytest

from services.scorer.domain.deciding import Handoff, take_touch
from services.scorer.domain.engagement import engagement
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from tests.support.processes import ROOT
from tests.support.touches import ADA, a_profile, a_touch, a_track, agreement

EXAMPLES = re.findall(r"```example\n(.*?)```", (ROOT / "docs/scoring.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example(example: str) -> None:
    """Each line is a touch at noon of its day, or what is true then."""
    terms = Terms(1, agreement((ROOT / "examples/agreement.yaml").read_text()))
    state = ContactState(agreement=1, counting=terms.counting)
    handoffs = 0
    for number, line in enumerate(example.strip().splitlines()):
        day, what, rest = line.split(maxsplit=2)
        at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
        match what:
            case "engagement":
                assert engagement(state, terms, to_micros(at)).score == pytest.approx(float(rest.split()[0]), abs=0.005)
                continue
            case "handoffs":
                assert handoffs == int(rest.split()[0])
                continue
            case "page":
                touch = a_touch(number, path=rest, at=at)
            case "track":
                touch = a_track(number, rest, at=at)
            case "who":
                touch = a_profile(number, traits={"title": rest.split(" at a ")[0]}, at=at)
            case _:
                pytest.fail(line)
        handoffs += sum(isinstance(decision, Handoff) for decision in take_touch(ADA, state, touch, terms))


def test_there_are_examples() -> None:
    """The page is still read as it is written."""
    assert len(EXAMPLES) >= 7

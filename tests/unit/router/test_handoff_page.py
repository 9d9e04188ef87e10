"""What `docs/handoff.md` shows is what the code does."""

import re
from pathlib import Path

import pytest

from services.router.answer_reading import kind_of
from services.router.domain.clock_reading import Standing
from services.router.domain.handoff import MOST_OWNERS, State, Step, draw
from services.router.handoff_api import ANSWERS

PAGE = (Path(__file__).parents[3] / "docs" / "handoff.md").read_text()


def test_the_diagram() -> None:
    """The diagram is drawn from the table."""
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", PAGE, flags=re.DOTALL)

    assert shown == draw()


def test_the_owners() -> None:
    """So many owners are remembered as the page says."""
    assert f"the last {MOST_OWNERS} of them" in PAGE


def test_the_states_of_a_clock() -> None:
    """Each is explained."""
    (row,) = re.findall(r"^\| `state` \| (.*) \|$", PAGE, flags=re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", row)) == set(Standing)


@pytest.mark.parametrize("step", [step for step, _ in ANSWERS])
def test_the_answers(step: Step) -> None:
    """The table lists every answer, with all that it may say."""
    (fields,) = re.findall(rf"^\| `{step}` \| (.*?) \|", PAGE, flags=re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", fields)) == set(kind_of(step).__struct_fields__)


def test_the_states() -> None:
    """No state is shown that there is not, and none is forgotten."""
    assert set(re.findall(r"--> (\w+): ", draw())) == set(State)

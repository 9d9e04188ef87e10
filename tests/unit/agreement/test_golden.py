"""Agreements and what they mean: which touch is worth what under them, and whom they fit.

Whoever changes what an agreement means finds it here: what was signed has to go on meaning the same.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from shared.agreement.hashing import content_hash, counting_hash
from shared.agreement.matching import FitMatcher, TouchMatcher
from shared.agreement.model import Agreement
from shared.events.touch import Alias, Touch
from tests.support.processes import ROOT
from tests.support.touches import a_touch, agreement

GOLDEN = sorted(
    path for path in (ROOT / "tests/golden/agreements").glob("*.yaml") if not path.name.endswith(".meaning.yaml")
)


def read(path: Path) -> tuple[Agreement, Any]:
    """Return the agreement, and what it means."""
    return agreement(path.read_text()), yaml.safe_load(path.with_suffix(".meaning.yaml").read_text())


def touch_of(number: int, told: dict[str, Any]) -> Touch:
    """Return the touch that the file tells of: of Sunday noon, of the kind web, unless it says otherwise."""
    written = msgspec.to_builtins(a_touch(number, path="")) | told
    return msgspec.convert(written, Touch)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_hashes(path: Path) -> None:
    """What was signed is still that, and nobody is counted again for a new release."""
    agreed, meaning = read(path)

    assert content_hash(agreed) == meaning["hash"]
    assert counting_hash(agreed) == meaning["counting"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_touches(path: Path) -> None:
    """Each touch is worth what it was worth, and every rule is met by one touch and not by another."""
    agreed, meaning = read(path)
    matcher = TouchMatcher(agreed.rules)
    met_once: set[str] = set()
    for number, told in enumerate(meaning["touches"]):
        met = {
            agreed.rules[index].id: agreed.rules[index].points
            for index in matcher.match(touch_of(number, told["touch"]))
        }
        met_once |= set(met)

        assert met == told["rules"], told

    assert met_once == {rule.id for rule in agreed.rules}
    assert all(any(rule.id not in told["rules"] for told in meaning["touches"]) for rule in agreed.rules)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_contacts(path: Path) -> None:
    """Whom it fits, it fits; and every fit rule holds for one contact and not for another."""
    agreed, meaning = read(path)
    matcher = FitMatcher(agreed.fit)
    met_once: set[str] = set()
    for told in meaning["contacts"]:
        aliases = [Alias(**alias) for alias in told.get("aliases", ())]
        met = matcher.match(told["contact"], told["account"], aliases)
        met_once |= {rule.id for rule in met}

        assert {rule.id: "disqualified" if rule.disqualify else rule.points for rule in met} == told["fit"], told

    assert met_once == {rule.id for rule in agreed.fit}
    assert all(any(rule.id not in told["fit"] for told in meaning["contacts"]) for rule in agreed.fit)

"""Which touches meet which rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agreement.matching import FitMatcher, TouchMatcher
from shared.agreement.model import Condition, FitRule, Plain, Rule
from shared.agreement.patterns import compile_patterns, lookup
from shared.events.touch import Campaign
from tests.support.touches import a_touch, a_track, agreement


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("demo", "demo", True),
        ("demo", "Demo", True),
        ("demo", "demos", False),
        ("/pricing*", "/pricing", True),
        ("/pricing*", "/Pricing/teams", True),
        ("/pricing*", "/en/pricing", False),
        ("*director*", "Sales Director, EMEA", True),
        ("c?o", "CEO", True),
        ("c?o", "CEEO", False),
        ("*a*b*c", "xaxbxc", True),
        ("*a*b*c", "xaxcxb", False),
        ("a*a", "a", False),
        ("*", "anything", True),
        ("*", "", True),
        ("*", None, False),
        ("/blog/[x]", "/blog/x", False),
        ("/blog/[x]", "/blog/[X]", True),
        (100.0, 100, True),
        (100.0, "100", True),
        (100.0, True, False),
        (1.0, True, False),
        ("100", 100, True),
        ("1*", 100, True),
        (True, True, True),
        (True, "true", True),
        (True, 1, False),
        (">= 200", 200, True),
        (">= 200", "250", True),
        (">= 200", "many", False),
        ("< 10", 9.5, True),
        ("100..5000", 100, True),
        ("100..5000", 5001, False),
        ("demo", ["other", "Demo"], True),
        ("demo", {"demo": 1}, False),
        ("demo", None, False),
    ],
)
def test_a_pattern(pattern: Plain, value: Any, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """Text compares in any case, wildcards and comparisons do as people read them."""
    assert compile_patterns([pattern])(value) is expected


def test_any_of_several() -> None:
    """One of the patterns is enough."""
    test = compile_patterns(["logistics", "manu*", 7.0])

    assert [test(value) for value in ("Logistics", "manufacturing", 7, "retail")] == [True, True, True, False]


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=24))
def test_globs_agree_with_a_simple_matcher(pattern: str, text: str) -> None:
    """The compiled wildcard finds what trying every split finds."""

    def simple(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(simple(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
        return bool(text) and pattern[0] in {"?", text[0]} and simple(pattern[1:], text[1:])

    assert compile_patterns([pattern])(text) is simple(pattern, text)


@pytest.mark.timeout(5)
def test_a_hostile_glob() -> None:
    """Text made to be slow is not."""
    assert not compile_patterns(["*a" * 30 + "b"])("a" * 20_000)


def test_dots_in_names() -> None:
    """A key that contains dots wins over a nested one."""
    assert lookup({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert lookup({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert lookup({"a": 1}, "a.b") is None


def test_a_touch_counts_for_every_rule_it_meets() -> None:
    """Rules are told in their order."""
    matcher = TouchMatcher(agreement().rules)
    ids = [rule.id for rule in agreement().rules]

    def met(touch: Any) -> list[str]:
        return [ids[index] for index in matcher.match(touch)]

    assert met(a_touch(1, path="/pricing/teams")) == ["pricing-viewed", "page-viewed"]
    assert met(a_touch(2, path="/pricing/teams")) == ["pricing-viewed", "page-viewed"]
    assert met(a_track(3, "form submitted", properties={"form": "Demo"})) == ["demo-requested"]
    assert met(a_track(4, "Form Submitted", properties={"form": "guide"})) == []
    assert met(a_track(5, "Form Submitted")) == []


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("url", {"url": "https://x/y"}),
        ("title", {"title": "https://x/y"}),
        ("referrer", {"referrer": "https://x/y"}),
        ("campaign.name", {"campaign": Campaign(name="https://x/y")}),
        ("campaign.term", {"campaign": Campaign(term="https://x/y")}),
        ("properties.a.b", {"properties": {"a": {"b": "https://x/y"}}}),
        ("traits.plan", {"traits": {"plan": "https://x/y"}}),
        ("contact.plan", {"traits": {"plan": "https://x/y"}}),
        ("account.domain", {"account_domain": "https://x/y"}),
        ("account.plan", {"account_traits": {"plan": "https://x/y"}}),
        ("source", {"source": "https://x/y"}),
    ],
)
def test_each_field(field: str, fields: dict[str, Any]) -> None:
    """Every field that the parser takes is compared with what the touch says."""
    rule = Rule(id="a", when=(Condition(field, ("https://x/*",)),), group="web", points=1)
    matcher = TouchMatcher([rule])

    assert matcher.match(a_touch(1, **fields)) == (0,)
    assert matcher.match(a_touch(2)) == ()


def test_fit_looks_at_contact_and_account() -> None:
    """Both sides of the profile can be asked about, and all conditions have to hold."""
    rule = FitRule(id="a", when=(Condition("account.employees", (">=100",)), Condition("traits.title", ("vp *",))))
    matcher = FitMatcher([rule])

    assert matcher.match({"title": "VP Sales"}, {"employees": 100}) == [rule]
    assert matcher.match({"title": "VP Sales"}, {"employees": 99}) == []
    assert matcher.match({}, {"employees": 100}) == []

"""What a text says, and everything that is wrong with it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agreement.model import Agreement, Condition, Stage
from shared.agreement.parse import parse_agreement, parse_draft
from shared.agreement.reading import Mistake
from tests.support.processes import ROOT
from tests.support.touches import TEXT, agreement, changed


def mistakes(text: str) -> list[str]:
    """Return the mistakes as lines."""
    parsed = parse_agreement(text)
    assert not isinstance(parsed, Agreement)
    return [str(mistake) for mistake in parsed]


def test_the_example_is_right() -> None:
    """The agreement that the README uses can be proposed as it is."""
    assert isinstance(parse_draft((ROOT / "examples/agreement.yaml").read_text()), Agreement)


def test_values_are_read() -> None:
    """Each part arrives as the value that it means."""
    read = agreement()

    assert read.half_life == timedelta(days=30)
    assert read.groups == {"content": 30, "web": 40, "email": 20, "intent": 100}
    assert read.rules[0].when == (Condition("name", ("Form Submitted",)), Condition("properties.form", ("demo",)))
    assert read.rules[0].hand_raise
    assert read.rules[1].per_day == 2
    assert read.rules[1].stage is Stage.DECIDING
    assert read.rules[7].points == -50
    assert read.fit[2].disqualify
    assert read.stages[Stage.DECIDING] == timedelta(days=14)
    assert read.ready.stage is Stage.ACTIVE_LOOKING
    assert read.rearm.cool_down == timedelta(days=30)
    assert read.respond.hand_raise == timedelta(minutes=5)


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to correct a file ten times to see ten mistakes."""
    text = """
version: 2
titel: x
half_life: soon
groups: {web: {cap: -1}, web: {cap: 3}, mail: {}}
rules:
  - {id: a, when: {nmae: x}, group: wbe, points: ten, stage: dciding}
  - {id: a, when: {}, group: web, points: .inf}
ready: {engagement: 50}
rearm: {below: 60, cool_down: 3}
stages: {deciding: 14d, foo: 3d}
respond: {hand_raise: 5m, standard: 4h, reassign_after: 65m, escalate_after: 60m, hours: busines}
reject_reasons: [a, a]
"""

    assert mistakes(text) == [
        "line 2, column 1: title: expected title, but it is missing",
        "line 2, column 10: version: expected 1: it is the format of this file; Tandem numbers the agreements itself",
        "line 3, column 1: titel: there is no key 'titel'; did you mean 'title'?",
        "line 4, column 12: half_life: expected a duration such as 15m, 4h or 30d, not 'soon'",
        "line 5, column 21: groups.web.cap: expected a number from 0 up, not -1",
        "line 5, column 26: groups.web: expected 'web' once, but it is written twice",
        "line 5, column 47: groups.mail.cap: expected cap, but it is missing",
        "line 7, column 20: rules[0].when.nmae: there is no field 'nmae'; did you mean 'name'?",
        "line 7, column 37: rules[0].group: there is no group 'wbe'; did you mean 'web'?",
        "line 7, column 50: rules[0].points: expected a number, not 'ten'",
        "line 7, column 62: rules[0].stage: there is no stage 'dciding'; did you mean 'deciding'?",
        "line 8, column 10: rules[1].id: expected an id of its own: 'a' is already used in line 7",
        "line 8, column 19: rules[1].when: expected at least one condition, such as name: Form Submitted",
        "line 8, column 43: rules[1].points: expected a number, not '.inf'",
        "line 10, column 16: rearm.below: expected less than ready.engagement (50): contacts would be handed off repeatedly",  # noqa: E501  # as told
        "line 10, column 31: rearm.cool_down: expected a duration such as 15m, 4h or 30d, not '3'",
        "line 11, column 25: stages.foo: there is no stage 'foo'; expected one of: first_thought, passive_looking, active_looking, deciding",  # noqa: E501  # as told
        "line 12, column 78: respond.escalate_after: expected no less than reassign_after (1h5m)",
        "line 12, column 90: respond.hours: there is no choice 'busines'; did you mean 'business'?",
        "line 13, column 21: reject_reasons[1]: expected each reason once: 'a' is there already",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # Each part is right for itself; together nobody would become ready.
        ("fit: 50, touches", "fit: 90, touches", "ready.fit: expected at most 80"),  # 40 + 40
        ("stages:   {first_thought: 90d, ", "stages:   {", "rules[3].stage: expected stages to say"),
        ("points: 40}", "points: 40, disqualify: true}", "expected either points or disqualify"),
        ("account.domain", "acount.domain", "did you mean 'account.domain'?"),
        ("properties.form: demo", "properties.form: [demo, [a]]", "expected text, a number, true or false"),
        (
            "properties.form: demo",
            "properties.form: [demo, {a: 1}]",
            "there is no key 'a'; expected one of: exists, not",
        ),
        ("properties.form: demo", "properties.form: []", "expected at least one value in the list"),
        ("properties.form: demo", "properties.form: ", "expected text, a number, true or false"),
        ("half_life: 30d", "half_life: 10s", "half_life: expected a duration from 1m to 3650d"),
        ("touches: 8", "touches: 8.5", "ready.touches: expected a whole number from 0 up"),
        ("hand_raise: true", "hand_raise: yes", "expected true or false, not 'yes'"),
        ("[not_a_fit,", "[[not_a_fit],", "reject_reasons[0]: expected text"),
        ("title: What we both call a lead", "title: ''", "title: expected text"),
        ("groups:   {", "groups:   [{", "expected YAML"),
        ("title: What", "title: &x What", None),
        ("below: 35", "below: 0", None),
    ],
)
def test_one_mistake(old: str, new: str, told: str | None) -> None:
    """What is wrong is told with what would be right."""
    parsed = parse_agreement(changed((old, new)))

    if told is None:
        assert isinstance(parsed, Agreement)
    else:
        assert isinstance(parsed, tuple)
        assert any(told in str(mistake) for mistake in parsed), parsed


def test_a_limit_per_day_with_a_half_life_of_hours() -> None:
    """A draft is refused, with how much touches would overweigh; what is in force already is read."""
    text = changed(("half_life: 30d", "half_life: 6h"))

    told = parse_draft(text)

    assert isinstance(told, tuple)
    (mistake,) = told
    assert (mistake.line, mistake.column, mistake.key) == (4, 12, "half_life")
    assert mistake.message.startswith("expected 2d or more beside per_day (pricing-viewed and 2 more): ")
    assert mistake.message.endswith("would be up to 400% of their points")
    assert isinstance(parse_agreement(text), Agreement)
    assert isinstance(parse_draft(changed(("half_life: 30d", "half_life: 2d"))), Agreement)
    without = changed(*((f", per_day: {limit}", "") for limit in (20, 2, 5)), text=text)
    assert isinstance(parse_draft(without), Agreement)


def test_caps_too_low_for_the_threshold() -> None:
    """An agreement under which nobody could become ready is not accepted."""
    text = changed(("content: {cap: 30}", "content: {cap: 3}"), ("web: {cap: 40}", "web: {cap: 4}"))
    text = changed(("email: {cap: 20}", "email: {cap: 2}"), ("intent: {cap: 100}", "intent: {cap: 10}"), text=text)

    # 3 + 4 + 2 + 10
    assert mistakes(text) == [
        "line 20, column 24: ready.engagement: expected at most 19, which is all that groups with rules can add up to"
    ]


def test_a_stage_that_no_rule_is_evidence_for() -> None:
    """A threshold that asks for it would never hold."""
    text = changed(
        (", stage: deciding", ""), ("stage: active_looking}\n  - {id: blog", "stage: first_thought}\n  - {id: blog")
    )

    assert "ready.stage: expected a rule that is evidence for active_looking or a later stage" in mistakes(text)[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected an agreement, not an empty file"),
        ("- 1", "expected names with values"),
        ("a: &x 1\nb: *x", "anchors and aliases are not read"),
        ("[" * 1000, "expected at most 20 levels"),
        ("{a: " * 1000, "expected at most 20 levels"),
        ("\0", "special characters are not allowed"),
        ("a: [", "expected YAML"),
        ("--- 1\n--- 2", "another document"),
        ("x" * 300_000, "expected at most 262144 characters"),
    ],
)
def test_what_is_no_agreement_at_all(text: str, told: str) -> None:
    """Text that would cost too much to read, or is not YAML, is refused with the place."""
    assert told in mistakes(text)[0]


@given(st.text(alphabet=st.sampled_from("{}[]:,-#&*!|>'\"%@` \n\tab1é\0"), max_size=60))
def test_any_text(text: str) -> None:
    """Whatever is sent, the answer is an agreement or mistakes, never a failure."""
    parsed = parse_agreement(text)

    assert isinstance(parsed, tuple)
    assert all(isinstance(mistake, Mistake) for mistake in parsed)
    assert parsed


@given(st.data())
def test_a_cut_or_mended_agreement(data: st.DataObject) -> None:
    """A text with a hole or an insertion anywhere is read, or its mistakes are."""
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 30)))
    inserted = data.draw(st.sampled_from(["", "x", "{", "}", "- ", ": ", "null", "[1]", "\n"]))

    parsed = parse_agreement(TEXT[:start] + inserted + TEXT[end:])

    assert isinstance(parsed, Agreement) or parsed

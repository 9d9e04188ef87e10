"""From the text that people write to an agreement, or to everything that is wrong with it at once.

Each mistake says where it stands, which key it is about, and what would be right.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

import yaml

from shared.agreement.account_reading import read_accounts, read_nurture
from shared.agreement.calendar_reading import read_calendar
from shared.agreement.model import (
    ALWAYS,
    BUSINESS,
    JOURNEY,
    Agreement,
    FitRule,
    Ready,
    Rearm,
    RespondTimes,
    Rule,
    Stage,
)
from shared.agreement.reading import Mistake, Reader, compose
from shared.agreement.when_reading import CONTACT_FIELDS, TOUCH_FIELDS, read_when
from shared.business_calendar import BusinessCalendar
from shared.durations import format_duration, parse_duration

FORMAT = 1
LARGEST_TEXT = 262_144  # characters

_SHORTEST_HALF_LIFE = parse_duration("1m")
_LONGEST_HALF_LIFE = parse_duration("3650d")
LARGEST_POINTS = 10_000.0
# Touches of a rule with `per_day` weigh as of noon: at midnight 2^(12 h / 48 h), which is 19 % more than their points.
SHORTEST_HALF_LIFE_WITH_DAYS = parse_duration("2d")

SECTIONS = ("version", "title", "half_life", "groups", "rules", "ready", "rearm", "respond", "reject_reasons")
OPTIONAL_SECTIONS = ("fit", "stages", "calendars", "accounts", "nurture")


def parse_agreement(text: str) -> Agreement | tuple[Mistake, ...]:
    """Read an agreement from YAML, or return its mistakes in the order of the lines.

    What any release let both sides sign is read: see `parse_draft` for what is proposed now.
    """
    return _parse(text, _agreement)


def parse_draft(text: str) -> Agreement | tuple[Mistake, ...]:
    """Read an agreement that nobody signed yet: more is asked of it than of what may be in force already."""
    return _parse(text, _draft)


def _parse(text: str, read: Callable[[Reader, yaml.Node], Agreement]) -> Agreement | tuple[Mistake, ...]:
    if len(text) > LARGEST_TEXT:
        return (Mistake(1, 1, "", f"expected at most {LARGEST_TEXT} characters, not {len(text)}"),)
    root = compose(text)
    if isinstance(root, Mistake):
        return (root,)
    reader = Reader()
    agreement = read(reader, root)
    return tuple(sorted(reader.mistakes)) or agreement


def _draft(reader: Reader, root: yaml.Node) -> Agreement:
    agreement = _agreement(reader, root)
    limited = [rule.id for rule in agreement.rules if rule.per_day is not None]
    if limited and "half_life" in reader.sound and agreement.half_life < SHORTEST_HALF_LIFE_WITH_DAYS:
        others = f" and {len(limited) - 1} more" if len(limited) > 1 else ""
        reader.wrong(
            reader.sound["half_life"],
            "half_life",
            f"expected {format_duration(SHORTEST_HALF_LIFE_WITH_DAYS)} or more beside per_day ({limited[0]}{others}): "
            "touches of such a rule weigh as of noon (UTC), which in the morning would be up to "
            f"{_at_midnight(agreement.half_life)} their points",
        )
    return agreement


def _at_midnight(half_life: timedelta) -> str:
    """Return how much a touch weighs twelve hours before the noon of its day: 2^(12 h / half-life)."""
    doublings = timedelta(hours=12) / half_life
    return f"{2**doublings:.0%} of" if doublings <= 4 else "many times"


def _agreement(reader: Reader, root: yaml.Node) -> Agreement:
    sections = reader.mapping(root, "", required=SECTIONS, optional=OPTIONAL_SECTIONS)
    if "version" in sections and reader.integer(sections["version"], "version", least=0) != FORMAT:
        reader.wrong(
            sections["version"],
            "version",
            f"expected {FORMAT}: it is the format of this file; Tandem numbers the agreements itself",
        )
    groups = _groups(reader, sections.get("groups"))
    calendars = _calendars(reader, sections.get("calendars"))
    agreement = Agreement(
        title=reader.text(sections.get("title"), "title"),
        half_life=reader.duration(
            sections.get("half_life"), "half_life", least=_SHORTEST_HALF_LIFE, most=_LONGEST_HALF_LIFE
        ),
        groups=groups,
        rules=_rules(
            reader, sections.get("rules"), groups=groups if "groups" in sections else None, calendars=calendars
        ),
        fit=_fit(reader, sections.get("fit")),
        stages={
            reader.choice(name, key, Stage): reader.duration(node, key)
            for name, node, key in reader.entries(sections.get("stages"), "stages")
        },
        ready=_ready(reader, sections.get("ready")),
        rearm=_rearm(reader, sections.get("rearm")),
        respond=_respond(reader, sections.get("respond"), calendars=calendars),
        reject_reasons=_reject_reasons(reader, sections.get("reject_reasons")),
        calendars=calendars,
        accounts=read_accounts(reader, sections["accounts"]) if "accounts" in sections else None,
        nurture=read_nurture(reader, sections["nurture"]) if "nurture" in sections else None,
    )
    _check_parts_agree(reader, agreement)
    return agreement


def _groups(reader: Reader, section: yaml.Node | None) -> dict[str, float]:
    caps = {}
    for name, node, key in reader.entries(section, "groups"):
        fields = reader.mapping(node, key, required=("cap",))
        caps[str(name.value)] = reader.number(fields.get("cap"), f"{key}.cap", least=0)
    if not caps and isinstance(section, yaml.MappingNode):
        reader.wrong(section, "groups", "expected at least one group, such as web: {cap: 40}")
    return caps


def _calendars(reader: Reader, section: yaml.Node | None) -> dict[str, BusinessCalendar]:
    calendars = {}
    for name, node, key in reader.entries(section, "calendars"):
        if name.value in {BUSINESS, ALWAYS}:
            reader.wrong(name, key, f"expected another name, such as office: {name.value} has a meaning of its own")
        elif not name.value.strip():
            reader.wrong(name, key, "expected a name, such as office")
        calendars[str(name.value)] = read_calendar(reader, node, key)
    return calendars


def _rules(
    reader: Reader,
    section: yaml.Node | None,
    *,
    groups: Collection[str] | None,
    calendars: Mapping[str, BusinessCalendar],
) -> tuple[Rule, ...]:
    rules = []
    seen: dict[str, int] = {}
    for node, key in reader.items(section, "rules"):
        fields = reader.mapping(
            node, key, required=("id", "when", "group", "points"), optional=("per_day", "stage", "hand_raise")
        )
        rule_id = _rule_id(reader, fields.get("id"), f"{key}.id", seen)
        group = reader.text(fields.get("group"), f"{key}.group")
        if group and groups is not None and group not in groups:
            reader.unknown(fields["group"], f"{key}.group", group, kind="group", known=groups)
        rules.append(
            Rule(
                id=rule_id,
                when=read_when(reader, fields.get("when"), f"{key}.when", fields=TOUCH_FIELDS, calendars=calendars),
                group=group,
                points=_points(reader, fields.get("points"), f"{key}.points"),
                per_day=reader.integer(fields["per_day"], f"{key}.per_day", least=1) if "per_day" in fields else None,
                stage=reader.choice(fields["stage"], f"{key}.stage", Stage) if "stage" in fields else None,
                hand_raise=reader.flag(fields["hand_raise"], f"{key}.hand_raise") if "hand_raise" in fields else False,
            )
        )
    return tuple(rules)


def _fit(reader: Reader, section: yaml.Node | None) -> tuple[FitRule, ...]:
    rules = []
    seen: dict[str, int] = {}
    for node, key in reader.items(section, "fit"):
        fields = reader.mapping(node, key, required=("id", "when"), optional=("points", "disqualify"))
        if isinstance(node, yaml.MappingNode) and ("points" in fields) == ("disqualify" in fields):
            reader.wrong(node, key, "expected either points or disqualify: true")
        rules.append(
            FitRule(
                id=_rule_id(reader, fields.get("id"), f"{key}.id", seen),
                when=read_when(reader, fields.get("when"), f"{key}.when", fields=CONTACT_FIELDS),
                points=_points(reader, fields["points"], f"{key}.points") if "points" in fields else 0.0,
                disqualify=reader.flag(fields["disqualify"], f"{key}.disqualify") if "disqualify" in fields else False,
            )
        )
    return tuple(rules)


def _rule_id(reader: Reader, node: yaml.Node | None, key: str, seen: dict[str, int]) -> str:
    rule_id = reader.text(node, key)
    if node is not None and rule_id:
        if rule_id in seen:
            reader.wrong(node, key, f"expected an id of its own: {rule_id!r} is already used in line {seen[rule_id]}")
        seen.setdefault(rule_id, node.start_mark.line + 1)
    return rule_id


def _points(reader: Reader, node: yaml.Node | None, key: str) -> float:
    return reader.number(node, key, least=-LARGEST_POINTS, most=LARGEST_POINTS)


def _ready(reader: Reader, section: yaml.Node | None) -> Ready:
    fields = reader.mapping(section, "ready", required=("engagement",), optional=("fit", "touches", "stage"))
    return Ready(
        engagement=reader.number(fields.get("engagement"), "ready.engagement", least=1, most=100),
        fit=reader.number(fields["fit"], "ready.fit", least=0, most=100) if "fit" in fields else 0.0,
        touches=reader.integer(fields["touches"], "ready.touches", least=0) if "touches" in fields else 0,
        stage=reader.choice(fields["stage"], "ready.stage", Stage) if "stage" in fields else None,
    )


def _rearm(reader: Reader, section: yaml.Node | None) -> Rearm:
    fields = reader.mapping(section, "rearm", required=("below", "cool_down"))
    return Rearm(
        below=reader.number(fields.get("below"), "rearm.below", least=0, most=100),
        cool_down=reader.duration(fields.get("cool_down"), "rearm.cool_down"),
    )


def _respond(reader: Reader, section: yaml.Node | None, *, calendars: Mapping[str, BusinessCalendar]) -> RespondTimes:
    names = ("hand_raise", "standard", "reassign_after", "escalate_after", "hours")
    fields = reader.mapping(section, "respond", required=names)
    times = RespondTimes(
        hand_raise=reader.duration(fields.get("hand_raise"), "respond.hand_raise"),
        standard=reader.duration(fields.get("standard"), "respond.standard"),
        reassign_after=reader.duration(fields.get("reassign_after"), "respond.reassign_after"),
        escalate_after=reader.duration(fields.get("escalate_after"), "respond.escalate_after"),
        hours=reader.word(fields.get("hours"), "respond.hours", (BUSINESS, ALWAYS, *calendars)),
    )
    if "escalate_after" in fields and times.escalate_after < times.reassign_after:
        reader.wrong(
            fields["escalate_after"],
            "respond.escalate_after",
            f"expected no less than reassign_after ({format_duration(times.reassign_after)})",
        )
    return times


def _reject_reasons(reader: Reader, section: yaml.Node | None) -> tuple[str, ...]:
    reasons: list[str] = []
    for node, key in reader.items(section, "reject_reasons"):
        reason = reader.text(node, key)
        if reason and reason in reasons:
            reader.wrong(node, key, f"expected each reason once: {reason!r} is there already")
        reasons.append(reason)
    if not reasons and isinstance(section, yaml.SequenceNode):
        reader.wrong(section, "reject_reasons", "expected at least one reason, such as not_a_fit")
    return tuple(reasons)


def _check_parts_agree(reader: Reader, agreement: Agreement) -> None:
    """Find contradictions between parts that are each right: contacts that flap, or that never become ready."""
    sound = reader.sound
    for index, rule in enumerate(agreement.rules):
        key = f"rules[{index}].stage"
        if rule.stage is not None and key in sound and rule.stage not in agreement.stages:
            reader.wrong(
                sound[key], key, f"expected stages to say how long evidence for {rule.stage} holds, such as 30d"
            )
    ready, below = agreement.ready, agreement.rearm.below
    if "ready.engagement" in sound and "rearm.below" in sound and below >= ready.engagement:
        message = f"expected less than ready.engagement ({ready.engagement:g}): contacts would be handed off repeatedly"
        reader.wrong(sound["rearm.below"], "rearm.below", message)
    if reader.mistakes:
        return  # what follows would only repeat them in other words
    earning = {rule.group for rule in agreement.rules if rule.points > 0}
    reachable = sum(cap for group, cap in agreement.groups.items() if group in earning)
    if reachable < ready.engagement:
        message = f"expected at most {reachable:g}, which is all that groups with rules can add up to"
        reader.wrong(sound["ready.engagement"], "ready.engagement", message)
    best_fit = sum(rule.points for rule in agreement.fit if rule.points > 0)
    if best_fit < ready.fit:
        message = f"expected at most {best_fit:g}, which is all that the fit rules can add up to"
        reader.wrong(sound["ready.fit"], "ready.fit", message)
    if ready.stage and not any(rule.stage in JOURNEY[JOURNEY.index(ready.stage) :] for rule in agreement.rules):
        message = f"expected a rule that is evidence for {ready.stage} or a later stage"
        reader.wrong(sound["ready.stage"], "ready.stage", message)

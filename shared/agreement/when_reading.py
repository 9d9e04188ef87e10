"""Reading the `when` of a rule: what has to hold of a touch, or of a contact.

`{type: page, path: ["/pricing*", "/plans"], properties.seats: {at_least: 50}, any: [{…}, {…}], not: {…}}`
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from shared.agreement.model import Bound, Check, Condition, Junction, Pattern, Plain
from shared.agreement.patterns import instant_of
from shared.agreement.reading import Reader
from shared.business_calendar import BusinessCalendar
from shared.durations import parse_duration, write_duration

DEEPEST = 5  # levels of all, any and not

# What can be asked about; a name that ends in a dot takes any key below it.
OCCURRED_AT = "occurred_at"
_ALIASES = ("alias.email", "alias.user", "alias.anonymous")
CONTACT_FIELDS = ("contact.", "traits.", "account.", *_ALIASES)
TOUCH_FIELDS = (
    "name", "type", "path", "url", "title", "referrer", "source", "kind",
    "campaign.name", "campaign.source", "campaign.medium", "campaign.term", "campaign.content",
    "properties.", "traits.", "contact.", "account.", *_ALIASES, OCCURRED_AT,
)  # fmt: skip

NUMBER_CHECKS = ("at_least", "above", "at_most", "below")
INSTANT_CHECKS = ("since", "before")
RELATIVE_CHECKS = ("in_last", "in_next")
VALUE_CHECKS = ("exists", "not", *NUMBER_CHECKS, *INSTANT_CHECKS)
MOMENT_CHECKS = (*INSTANT_CHECKS, "hours")  # of `occurred_at`

_NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE)
_JUNCTIONS = tuple(junction.value for junction in Junction)
_EXAMPLES = {"all": "all: [{type: page}, {name: Pricing}]", "any": "any: [{type: page}, {name: Pricing}]"}


def read_when(
    reader: Reader,
    node: yaml.Node | None,
    key: str,
    *,
    fields: Collection[str],
    calendars: Mapping[str, BusinessCalendar] | None = None,
) -> tuple[Condition, ...]:
    """Read conditions on the fields, which all have to hold; what is wrong is told to the reader.

    Whoever can ask when something occurred can ask for what is near that instant, and for its being within the working
    time of one of the calendars.
    """
    return _WhenReading(reader, tuple(fields), calendars or {}).when(node, key)


@dataclass(frozen=True, slots=True)
class _WhenReading:
    reader: Reader
    fields: tuple[str, ...]
    calendars: Mapping[str, BusinessCalendar]

    def when(self, node: yaml.Node | None, key: str, *, depth: int = 0) -> tuple[Condition, ...]:
        conditions = []
        for name, value, at in self.reader.entries(node, key):
            field = str(name.value)
            if field in _JUNCTIONS:
                conditions.append(self.junction(Junction(field), value, at, depth=depth + 1))
                continue
            if not any(_names(known, field) for known in self.fields):
                self.unknown_field(name, field, at)
                if isinstance(value, yaml.MappingNode):
                    continue  # a misspelt `not` holds conditions, not checks
            conditions.append(Condition(field, any_of=self.patterns(value, at, field=field)))
        if isinstance(node, yaml.MappingNode) and not node.value:
            example = "name: Form Submitted" if "name" in self.fields else "account.industry: logistics"
            self.reader.wrong(node, key, f"expected at least one condition, such as {example}")
        return tuple(sorted(conditions, key=lambda condition: condition.field))

    def unknown_field(self, name: yaml.Node, field: str, key: str) -> None:
        rest = field.partition(".")[2] or "<name>"
        known = [f"{known}{rest}" if known.endswith(".") else known for known in self.fields]
        self.reader.unknown(name, key, field, kind="field", known=[*known, *_JUNCTIONS])

    def junction(self, junction: Junction, node: yaml.Node, key: str, *, depth: int) -> Condition:
        if depth > DEEPEST:
            self.reader.wrong(node, key, f"expected all, any and not at most {DEEPEST} deep; say it in several rules")
            return Condition(junction.value)
        if junction is Junction.NOT:
            return Condition(junction.value, of=(self.when(node, key, depth=depth),))
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.reader.wrong(node, key, f"expected a list of conditions, such as {_EXAMPLES[junction]}")
            return Condition(junction.value)
        return Condition(
            junction.value, of=tuple(self.when(item, at, depth=depth) for item, at in self.reader.items(node, key))
        )

    def patterns(self, node: yaml.Node, key: str, *, field: str) -> tuple[Pattern, ...]:
        if not isinstance(node, yaml.SequenceNode):
            return (self.pattern(node, key, field=field),)
        if not node.value:
            self.reader.wrong(node, key, "expected at least one value in the list")
        return tuple(self.pattern(item, at, field=field) for item, at in self.reader.items(node, key))

    def pattern(self, node: yaml.Node, key: str, *, field: str) -> Pattern:
        if field == OCCURRED_AT:
            return self.check(node, key, known=MOMENT_CHECKS)
        if isinstance(node, yaml.MappingNode):
            return self.check(node, key, known=self.checks())
        return self.reader.pattern(node, key)

    def checks(self) -> tuple[str, ...]:
        return (*VALUE_CHECKS, *RELATIVE_CHECKS) if OCCURRED_AT in self.fields else VALUE_CHECKS

    def check(self, node: yaml.Node, key: str, *, known: tuple[str, ...]) -> Check:
        if not isinstance(node, yaml.MappingNode):
            self.reader.wrong(node, key, "expected what has to hold of it, such as {since: 2026-12-24}")
            return Check()
        given = self.reader.mapping(node, key, required=(), optional=known)
        if not node.value:
            self.reader.wrong(node, key, f"expected at least one of: {', '.join(known)}")
        read: dict[str, Any] = {}
        for name, value in given.items():
            read |= self.part(name, value, f"{key}.{name}")
        check = Check(**read)
        if check.exists is False and len(given) > 1:
            self.reader.wrong(given["exists"], f"{key}.exists", "expected nothing beside exists: false")
        self.refuse_nothing(check, node, key)
        return check

    def part(self, name: str, node: yaml.Node, key: str) -> dict[str, Any]:
        match name:
            case "exists":
                return {name: self.reader.flag(node, key)}
            case "not":
                return {"none_of": self.plain(node, key)}
            case "since" | "before":
                return {name: self.instant(node, key)}
            case "in_last" | "in_next":
                return {name: self.reader.duration(node, key)}
            case "hours":
                return self.hours(node, key)
            case _:
                return {name: self.bound(node, key)}

    def plain(self, node: yaml.Node, key: str) -> tuple[Plain, ...]:
        if isinstance(node, yaml.SequenceNode):
            if not node.value:
                self.reader.wrong(node, key, "expected at least one value in the list")
            return tuple(self.reader.pattern(item, at) for item, at in self.reader.items(node, key))
        return (self.reader.pattern(node, key),)

    def bound(self, node: yaml.Node, key: str) -> Bound:
        written = node.value if isinstance(node, yaml.ScalarNode) else ""
        try:
            return parse_duration(written)
        except (ValueError, OverflowError):
            if written and not _NUMBER.fullmatch(written):
                self.reader.wrong(node, key, f"expected a number, or a duration such as 15m, not {written!r}")
                return 0.0
        return self.reader.number(node, key)

    def instant(self, node: yaml.Node, key: str) -> datetime:
        written = self.reader.text(node, key)
        instant = instant_of(written)
        if written and instant is None:
            self.reader.wrong(
                node,
                key,
                f"expected a day such as 2026-12-24, or an instant such as 2026-12-24T08:00:00Z, not {written!r}",
            )
        return instant or datetime.min.replace(tzinfo=UTC)

    def hours(self, node: yaml.Node, key: str) -> dict[str, Any]:
        name = self.reader.text(node, key)
        calendar = self.calendars.get(name)
        if name and calendar is None:
            unknown_calendar(self.reader, node, key, name, known=self.calendars)
        return {"hours": name, "calendar": calendar}

    def refuse_nothing(self, check: Check, node: yaml.Node, key: str) -> None:
        """Refuse bounds that no value is within."""
        lows, highs = (check.at_least, check.above), (check.at_most, check.below)
        low = max((_number(bound) for bound in lows if bound is not None), default=None)
        high = min((_number(bound) for bound in highs if bound is not None), default=None)
        strict = check.above is not None or check.below is not None
        if low is not None and high is not None and (low > high or (strict and low == high)):
            self.reader.wrong(node, key, "expected bounds that some number is within")
        if check.since and check.before and check.since >= check.before:
            self.reader.wrong(node, key, "expected since to be earlier than before")


def unknown_calendar(reader: Reader, node: yaml.Node, key: str, name: str, *, known: Collection[str]) -> None:
    """Note a calendar that does not exist."""
    if known:
        reader.unknown(node, key, name, kind="calendar", known=known)
    else:
        reader.wrong(node, key, f"there is no calendar {name!r}; describe it below calendars")


def write_when(when: tuple[Condition, ...]) -> dict[str, Any]:
    """Return conditions as JSON, in the form that `read_when` reads."""
    written: dict[str, Any] = {}
    for condition in when:
        match condition.field:
            case Junction.ALL | Junction.ANY:
                written[condition.field] = [write_when(part) for part in condition.of]
            case Junction.NOT:
                written[condition.field] = write_when(condition.of[0])
            case field:
                written[field] = [_written(pattern) for pattern in condition.any_of]
    return written


def _written(pattern: Pattern) -> Any:
    if not isinstance(pattern, Check):
        return pattern
    given: dict[str, Any] = {"exists": pattern.exists, "not": list(pattern.none_of) or None, "hours": pattern.hours}
    for name in NUMBER_CHECKS:
        bound = getattr(pattern, name)
        given[name] = write_duration(bound) if isinstance(bound, timedelta) else bound
    for name in INSTANT_CHECKS:
        instant = getattr(pattern, name)
        given[name] = instant and instant.isoformat().replace("+00:00", "Z")
    for name in RELATIVE_CHECKS:
        duration = getattr(pattern, name)
        given[name] = duration and write_duration(duration)
    return {name: value for name, value in given.items() if value is not None}


def _names(known: str, field: str) -> bool:
    return len(field) > len(known) and field.startswith(known) if known.endswith(".") else field == known


def _number(bound: Bound) -> float:
    return bound.total_seconds() if isinstance(bound, timedelta) else bound

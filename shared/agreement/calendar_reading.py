"""Reading business hours as people write them.

`{zone: Europe/Berlin, week: {mon-thu: 09:00-17:30, fri: [09:00-12:00, 13:00-15:00]}, holidays: DE-BY,
closed: [2026-12-24]}`
"""

import re
from datetime import date, time
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from shared.agreement.reading import Reader
from shared.business_calendar import BusinessCalendar, Shift, known_holidays

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def read_calendar(reader: Reader, node: yaml.Node | None, key: str) -> BusinessCalendar:
    """Read business hours; what is wrong is told to the reader."""
    given = reader.mapping(node, key, required=("zone", "week"), optional=("holidays", "closed"))
    return BusinessCalendar(
        zone=_zone(reader, given.get("zone"), f"{key}.zone"),
        week=_week(reader, given.get("week"), f"{key}.week"),
        holidays=_holidays(reader, given["holidays"], f"{key}.holidays") if "holidays" in given else None,
        closed=_closed(reader, given.get("closed"), f"{key}.closed"),
    )


def read_date(reader: Reader, node: yaml.Node, key: str) -> date:
    """Read a day such as 2026-12-24."""
    written = reader.text(node, key)
    try:
        return date.fromisoformat(written)
    except ValueError:
        if written:
            reader.wrong(node, key, f"expected a day such as 2026-12-24, not {written!r}")
        return date.min


def _closed(reader: Reader, node: yaml.Node | None, key: str) -> tuple[date, ...]:
    return tuple(sorted({read_date(reader, item, at) for item, at in reader.items(node, key)}))


def _zone(reader: Reader, node: yaml.Node | None, key: str) -> str:
    name = reader.text(node, key)
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if node is not None:
            reader.wrong(node, key, f"there is no time zone {name!r}; expected a name such as Europe/Berlin")
    return name


def _week(reader: Reader, node: yaml.Node | None, key: str) -> tuple[Shift, ...]:
    shifts: list[Shift] = []
    for name, value, at in reader.entries(node, key):
        days = _days(reader, name, at)
        written = (
            list(reader.items(value, at)) if isinstance(value, yaml.SequenceNode) else [(value, at)]
        )  # one shift, or several
        for item, item_at in written:
            hours = _hours(reader, item, item_at)
            if hours is not None:
                shifts += [Shift(day, *hours) for day in days]
    shifts.sort()
    for earlier, later in pairwise(shifts):
        if earlier.day == later.day and node is not None and (earlier.end == time() or later.start < earlier.end):
            reader.wrong(node, key, f"expected shifts that do not overlap on {DAYS[later.day]}")
    if isinstance(node, yaml.MappingNode) and not node.value:
        reader.wrong(node, key, "expected at least one day, such as mon-fri: 09:00-17:00")
    return tuple(shifts)


def _days(reader: Reader, node: yaml.ScalarNode, key: str) -> range:
    first, _, last = str(node.value).strip().lower().partition("-")
    last = last or first
    if first in DAYS and last in DAYS and DAYS.index(first) <= DAYS.index(last):
        return range(DAYS.index(first), DAYS.index(last) + 1)
    reader.wrong(node, key, f"expected days in the order of the week, such as fri or mon-thu, not {node.value!r}")
    return range(0)


def _hours(reader: Reader, node: yaml.Node, key: str) -> tuple[time, time] | None:
    written = reader.text(node, key)
    if not written:
        return None
    found = _HOURS.fullmatch(written.strip())
    if found is not None:
        start_hour, start_minute, end_hour, end_minute = map(int, found.groups())
        if (end_hour, end_minute) == (24, 0):
            end_hour = 0
        if max(start_hour, end_hour) < 24 and max(start_minute, end_minute) < 60:
            start, end = time(start_hour, start_minute), time(end_hour, end_minute)
            if end == time() or start < end:
                return start, end
    reader.wrong(node, key, f"expected hours of one day such as 09:00-17:30 or 18:00-24:00, not {written!r}")
    return None


def _holidays(reader: Reader, node: yaml.Node, key: str) -> str | None:
    code = reader.text(node, key)
    if code and not known_holidays(code):
        reader.wrong(node, key, f"no public holidays are known for {code!r}; expected a country such as US, or DE-BY")
    return code or None

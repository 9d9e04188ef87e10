"""Writing parts of a team as people write them."""

from datetime import time
from typing import Any

from services.router.domain.team import Rule
from shared.agreement.calendar_reading import DAYS
from shared.agreement.when_reading import write_when
from shared.business_calendar import BusinessCalendar
from shared.durations import format_duration


def write_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule as people write it."""
    shown: dict[str, Any] = {}
    if rule.when:
        shown["when"] = write_when(rule.when)
    if rule.hold is not None:
        hold = {"for": format_duration(rule.hold.duration)} if rule.hold.duration else {}
        return {**shown, "hold": {**hold, "reason": rule.hold.reason}}
    target = {"pool": rule.pool, "rep": rule.rep, "owner": rule.owner}
    return {**shown, **{name: value for name, value in target.items() if value}, "unavailable": rule.unavailable}


def write_hours(calendar: BusinessCalendar | None) -> dict[str, Any] | None:
    """Return hours as people write them, None where there are none."""
    if calendar is None:
        return None
    week: dict[str, list[str]] = {}
    for shift in calendar.week:
        end = "24:00" if shift.end == time() else f"{shift.end:%H:%M}"
        week.setdefault(DAYS[shift.day], []).append(f"{shift.start:%H:%M}-{end}")
    return {"zone": calendar.zone, "week": week, "holidays": calendar.holidays, "closed": calendar.closed}

"""Durations as people write them: `15m`, `4h`, `30d`, `1h30m`."""

import re
from datetime import timedelta

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> timedelta:
    """Read `1h30m` as an hour and a half. Raises ValueError that says what was expected."""
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"expected a duration such as 30s, 15m, 4h or 30d, not {text!r}")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def format_duration(duration: timedelta) -> str:
    """Write a duration in its two largest units: `1h30m`, `30d`, `250ms`."""
    milliseconds = round(duration.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    written = []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_UNITS[unit] * 1000)
        count, milliseconds = divmod(milliseconds, size)
        if count:
            written.append(f"{count}{unit}")
    return "".join(written[:2])


def write_duration(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same, whatever it is: `1h30m`, or `3661.5s`."""
    written = format_duration(duration)
    if parse_duration(written) == duration:
        return written
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"

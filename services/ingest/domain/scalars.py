"""Values that somebody else typed, as text."""

from typing import Any


def scalar_text(value: Any) -> str:
    """Return a text or a number as text, anything else as ""."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""

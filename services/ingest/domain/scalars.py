"""Values that somebody else typed, as text."""

from typing import Any

_YES = frozenset({"1", "true", "yes"})


def scalar_text(value: Any) -> str:
    """Return a text or a number as text, anything else as ""."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def says_yes(value: Any) -> bool:
    """Tell whether a value means yes, however it was typed."""
    return value is True or scalar_text(value).strip().lower() in _YES

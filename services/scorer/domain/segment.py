"""Segments: contacts by one trait of theirs or of their account."""

from collections.abc import Mapping
from typing import Any

LONGEST = 100  # characters of a value


def is_segment(field: str) -> bool:
    """Tell whether the field can be asked for: `contact.` or `account.` and a name."""
    side, _, name = field.partition(".")
    return side in {"contact", "account"} and bool(name) and len(field) <= LONGEST and "\0" not in field


def segment_of(field: str, contact: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    """Return the value that a contact has, "" where it has none. Of a list, the first."""
    side, _, name = field.partition(".")
    value: Any = _lookup(account if side == "account" else contact, name)
    while isinstance(value, list):
        value = value[0] if value else None
    if value is None or isinstance(value, Mapping):
        return ""
    return str(value).replace("\0", "").strip()[:LONGEST]


def _lookup(values: Mapping[str, Any], name: str) -> Any:
    value = values.get(name)
    head, _, rest = name.partition(".")
    if value is None and rest:
        inner = values.get(head)
        return _lookup(inner, rest) if isinstance(inner, Mapping) else None
    return value

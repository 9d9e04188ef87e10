"""A declared mapping from a message to the fields of another system.

A field is a JMESPath expression over the message, or an expression with more said about it, or a constant. What has
no value is left out; what has to have one and has none fails the attempt with the field's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

MOST_FIELDS = 200
LONGEST_TEXT = 32_000  # characters of one value; the largest text field of a CRM holds about as many


class Form(StrEnum):
    """What a value has to be."""

    ANY = "any"
    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    DATE = "date"  # 2026-03-02, in UTC
    INSTANT = "instant"  # 2026-03-02T10:30:00Z


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """Where the value of a field comes from. Exactly one of `path` and `const` is given."""

    path: str | None = None
    const: Any = None
    default: Any = None  # where the path gives nothing
    required: bool = False
    form: Form = Form.ANY


FieldMapping = Mapping[str, FieldRule]


class MappingFailed(ValueError):
    """Raised when a message cannot be mapped; the message names the field and what it lacks."""


def path_mistake(path: str) -> str | None:
    """Return what is wrong with an expression."""
    try:
        jmespath.compile(path)
    except JMESPathError as error:
        return f"expected a JMESPath expression, such as contact.email: {str(error).splitlines()[0]}"
    return None


def apply_mapping(mapping: FieldMapping, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields; a dot in a name makes an object in an object. Raises MappingFailed."""
    fields: dict[str, Any] = {}
    for name, rule in mapping.items():
        value = _value(name, rule, source)
        if value is None:
            continue
        *parents, last = name.split(".")
        place = fields
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise MappingFailed(f"mapping: {name} lies in {parent}, which is a value already.")
            place = inner
        place[last] = value
    return fields


def _value(name: str, rule: FieldRule, source: Mapping[str, Any]) -> Any:
    value = rule.const
    if rule.path is not None:
        try:
            value = jmespath.search(rule.path, source)
        except JMESPathError as error:
            raise MappingFailed(f"mapping: {name}: {rule.path} fails: {error}") from None
        if value is None or value == "":
            value = rule.default
    if value is None or value == "":
        if rule.required:
            raise MappingFailed(f"mapping: {name} has to have a value, and {rule.path or 'its constant'} gives none.")
        return None
    formed = _formed(value, rule.form)
    if formed is None:
        raise MappingFailed(f"mapping: {name} has to be a {rule.form}, not {str(value)[:80]!r}.")
    return formed[:LONGEST_TEXT] if isinstance(formed, str) else formed


def _formed(value: Any, form: Form) -> Any:
    """Return the value in its form, None when it has none."""
    match form:
        case Form.ANY:
            return value
        case Form.TEXT:
            return _text(value)
        case Form.NUMBER:
            return _number(value)
        case Form.FLAG:
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).strip().lower())
        case Form.DATE:
            at = _instant(value)
            return at and f"{at:%Y-%m-%d}"
        case Form.INSTANT:
            at = _instant(value)
            return at and at.isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case list():
            return "; ".join(text for item in value if (text := _text(item)) is not None)
        case _:
            return None


def _number(value: Any) -> int | float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(str(value).strip())
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None

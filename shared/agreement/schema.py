"""The JSON Schema of the agreement file, for editors: what they complete, explain and underline while it is written.

It knows the form of every part by itself. What parts have to do with each other, such as a rule and its group, or a
threshold and the caps, only `parse_agreement` tells.
"""

from collections.abc import Collection
from typing import Any

from shared.agreement.account_reading import LARGEST_ENGAGEMENT
from shared.agreement.calendar_reading import DAYS
from shared.agreement.model import ALWAYS, BUSINESS, Stage
from shared.agreement.parse import FORMAT, LARGEST_POINTS, OPTIONAL_SECTIONS, SECTIONS
from shared.agreement.when_reading import (
    CONTACT_FIELDS,
    INSTANT_CHECKS,
    MOMENT_CHECKS,
    NUMBER_CHECKS,
    OCCURRED_AT,
    RELATIVE_CHECKS,
    TOUCH_FIELDS,
    VALUE_CHECKS,
)

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that editors of YAML know

_TEXT: Schema = {"type": ["string", "number", "boolean"], "pattern": r"\S"}
_PLAIN: Schema = {"type": ["string", "number", "boolean"]}
_NUMBER: Schema = {"type": "number"}
_BOUND: Schema = {"anyOf": [_NUMBER, {"$ref": "#/definitions/duration"}]}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_AXIS: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_POINTS: Schema = {"type": "number", "minimum": -LARGEST_POINTS, "maximum": LARGEST_POINTS}
_DURATION: Schema = {
    "type": "string",
    "pattern": r"^ *(\d+(\.\d+)? *([mM][sS]|[sSmMhHdDwW]) *)+$",
    "examples": ["15m", "4h", "30d"],
}
_DAY: Schema = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_INSTANT: Schema = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"}
_HOURS: Schema = {
    "type": "string",
    "pattern": r"^\s*\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}\s*$",
    "examples": ["09:00-17:00"],
}
_TIMES = ("hand_raise", "standard", "reassign_after", "escalate_after")
_WHOSE_HOURS: Schema = {"anyOf": [{"enum": [BUSINESS, ALWAYS]}, {"type": "string", "pattern": r"\S"}]}
_STAGE: Schema = {"enum": [stage.value for stage in Stage]}

_MEANINGS = {
    "version": "Of this file's format. Tandem numbers the agreements itself.",
    "title": "What people call this agreement.",
    "half_life": "After so long a touch is worth half.",
    "groups": "Rules of a group share its cap.",
    "rules": "What a touch is worth. A touch counts for every rule that it meets.",
    "fit": "Who can be helped, by what is known of the contact and its company.",
    "stages": "How long a touch is evidence for a stage of the buyer's journey.",
    "ready": "A contact is sales-ready when all of this holds.",
    "rearm": "When a contact that was handed off may be handed off again.",
    "respond": "How soon sales answers.",
    "reject_reasons": "What sales may say when it refuses a lead.",
    "calendars": "Business hours by name, for respond.hours and for rules.",
    "accounts": "When what the people of one company do together makes a lead.",
    "nurture": "Marketing is told about those who are not with sales.",
    "id": "What explanations call it.",
    "when": "What has to hold: all of it.",
    "points": "What it is worth.",
    "group": "Whose cap it shares.",
    "per_day": "So many a day (UTC) count.",
    "stage": "Of the buyer's journey.",
    "hand_raise": "The contact asks for sales: it is handed off at once.",
    "disqualify": "The contact is never handed off.",
    "hours": "business: of whoever has the handoff; always; or the name of a calendar.",
    "all": "All of these hold.",
    "any": "One of these holds.",
    "not": "This does not hold.",
    "exists": "Whether there is anything at all.",
    "since": "At this day or instant, or later.",
    "before": "Earlier than this day or instant.",
    "in_last": "A date so long before the touch, or less.",
    "in_next": "A date so long after the touch, or less.",
}


def agreement_schema() -> Schema:
    """Return the schema of the file."""
    times: dict[str, Schema] = dict.fromkeys(_TIMES, _DURATION)
    sections: dict[str, Schema] = {
        "version": {"const": FORMAT},
        "title": _TEXT,
        "half_life": _DURATION,
        "groups": _named(_mapping({"cap": {"type": "number", "minimum": 0}}), least=1),
        "rules": {"type": "array", "items": _rule()},
        "fit": {"type": "array", "items": _fit_rule()},
        "stages": _mapping({stage.value: _DURATION for stage in Stage}, optional=[stage.value for stage in Stage]),
        "ready": _mapping(
            {"engagement": {**_AXIS, "minimum": 1}, "fit": _AXIS, "touches": _COUNT, "stage": _STAGE},
            optional=("fit", "touches", "stage"),
        ),
        "rearm": _mapping({"below": _AXIS, "cool_down": _DURATION}),
        "respond": _mapping(times | {"hours": _WHOSE_HOURS}),
        "reject_reasons": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "calendars": _named(_calendar()),
        "accounts": _accounts(),
        "nurture": _mapping({"every": _DURATION}, optional=("every",)),
    }
    return {
        "$schema": DIALECT,
        "title": "Tandem agreement",
        "description": "What marketing and sales both call a lead.",
        **_mapping({name: sections[name] for name in (*SECTIONS, *OPTIONAL_SECTIONS)}, optional=OPTIONAL_SECTIONS),
        "definitions": {
            "duration": _DURATION,
            "touch": _when(TOUCH_FIELDS, "touch"),
            "contact": _when(CONTACT_FIELDS, "contact"),
        },
    }


def _rule() -> Schema:
    known = {
        "id": _TEXT,
        "when": {"$ref": "#/definitions/touch"},
        "group": _TEXT,
        "points": _POINTS,
        "per_day": {"type": "integer", "minimum": 1},
        "stage": _STAGE,
        "hand_raise": _FLAG,
    }
    return _mapping(known, optional=("per_day", "stage", "hand_raise"))


def _fit_rule() -> Schema:
    known = {"id": _TEXT, "when": {"$ref": "#/definitions/contact"}, "points": _POINTS, "disqualify": _FLAG}
    either = {"oneOf": [{"required": ["points"]}, {"required": ["disqualify"]}]}
    return _mapping(known, optional=("points", "disqualify")) | either


def _accounts() -> Schema:
    ready = {
        "engagement": {"type": "number", "minimum": 1, "maximum": LARGEST_ENGAGEMENT},
        "contacts": {"type": "integer", "minimum": 1},
        "within": _DURATION,
        "roles": {"type": "array", "items": _TEXT},
    }
    share: Schema = {"type": "number", "minimum": 1, "maximum": 100}
    known = {
        "ready": _mapping(ready, optional=("contacts", "within", "roles")),
        "rearm": _mapping({"below": {"type": "number", "minimum": 0, "maximum": LARGEST_ENGAGEMENT}}),
        "per_contact": _mapping({"least": share, "cap": share}, optional=("least", "cap")),
        "roles": _named({"$ref": "#/definitions/contact"}),
    }
    return _mapping(known, optional=("per_contact", "roles"))


def _calendar() -> Schema:
    day = "|".join(DAYS)
    shifts = {"anyOf": [_HOURS, {"type": "array", "items": _HOURS}]}
    known: dict[str, Schema] = {
        "zone": {"type": "string", "pattern": r"\S", "examples": ["Europe/Berlin"]},
        "week": {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {f"^ *({day})(-({day}))? *$": shifts},
            "additionalProperties": False,
        },
        "holidays": {"type": "string", "pattern": r"\S", "examples": ["US", "DE-BY"]},
        "closed": {"type": "array", "items": _DAY},
    }
    return _mapping(known, optional=("holidays", "closed"))


def _when(fields: Collection[str], name: str) -> Schema:
    relative = OCCURRED_AT in fields
    whole = {"$ref": f"#/definitions/{name}"}
    whole_list = {"type": "array", "items": whole, "minItems": 1}
    check = _check((*VALUE_CHECKS, *RELATIVE_CHECKS) if relative else VALUE_CHECKS)
    value = {"anyOf": [_PLAIN, check]}
    known: dict[str, Schema] = {"all": whole_list, "any": whole_list, "not": whole}
    below: dict[str, Schema] = {}
    for field in fields:
        if field == OCCURRED_AT:
            known[field] = _one_or_more(_check(MOMENT_CHECKS))
        elif field.endswith("."):
            below[f"^{field[:-1]}\\.."] = _one_or_more(value)
        else:
            known[field] = _one_or_more(value)
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {field: _explained(field, schema) for field, schema in known.items()},
        "patternProperties": below,
        "additionalProperties": False,
    }


def _check(names: Collection[str]) -> Schema:
    kinds: dict[str, Schema] = {
        "exists": _FLAG,
        "not": _one_or_more(_PLAIN),
        "hours": {"type": "string", "pattern": r"\S", "description": "In the working time of this calendar."},
        **dict.fromkeys(NUMBER_CHECKS, _BOUND),
        **dict.fromkeys(INSTANT_CHECKS, _INSTANT),
        **dict.fromkeys(RELATIVE_CHECKS, _DURATION),
    }
    alone = {"not": {"properties": {"exists": {"const": False}}, "required": ["exists"], "minProperties": 2}}
    return _mapping({name: kinds[name] for name in names}, optional=names) | {"minProperties": 1} | alone


def _one_or_more(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def _named(schema: Schema, *, least: int = 0) -> Schema:
    return {"type": "object", "additionalProperties": schema, "minProperties": least}


def _mapping(known: dict[str, Schema], *, optional: Collection[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": {name: _explained(name, schema) for name, schema in known.items()},
        "required": [name for name in known if name not in optional],
        "additionalProperties": False,
    }


def _explained(name: str, schema: Schema) -> Schema:
    meaning = _MEANINGS.get(name)
    if meaning is None or "description" in schema:
        return schema
    # Draft 7 looks at nothing beside a $ref.
    return {"description": meaning, "allOf": [schema]} if "$ref" in schema else {"description": meaning, **schema}

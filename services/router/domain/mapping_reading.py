"""Reading a mapping as people write it: `LastName: person.last_name`, or more about a field."""

from types import MappingProxyType
from typing import Any

import msgspec
import yaml

from services.router.domain.mapping import MOST_FIELDS, FieldMapping, FieldRule, Form, path_mistake
from shared.agreement.reading import Reader

# What a generic endpoint gets without a mapping.
DEFAULT_MAPPING: FieldMapping = MappingProxyType(
    {
        "type": FieldRule(path="type"),
        "handoff": FieldRule(path="handoff"),
        "rep": FieldRule(path="rep"),
        "contact": FieldRule(path="contact"),
        "brief": FieldRule(path="brief.text"),
    }
)


def read_mapping(reader: Reader, node: yaml.Node | None, key: str) -> FieldMapping:
    """Read a mapping; what is wrong is told to the reader."""
    mapping = {str(name.value): _rule(reader, value, at) for name, value, at in reader.entries(node, key)}
    if node is not None and not 0 < len(mapping) <= MOST_FIELDS:
        reader.wrong(node, key, f"expected from 1 to {MOST_FIELDS} fields")
    for name in mapping:
        if not all(name.split(".")):
            reader.wrong(node or yaml.ScalarNode("", ""), key, f"expected names between the dots of {name!r}")
    return mapping


def write_mapping(mapping: FieldMapping) -> dict[str, Any]:
    """Return the mapping as people write it."""
    return {name: rule.path if rule == FieldRule(path=rule.path) else _written(rule) for name, rule in mapping.items()}


def _written(rule: FieldRule) -> dict[str, Any]:
    shown: dict[str, Any] = {"const": rule.const} if rule.path is None else {"path": rule.path}
    if rule.default is not None:
        shown["default"] = rule.default
    if rule.required:
        shown["required"] = True
    return shown if rule.form is Form.ANY else {**shown, "form": str(rule.form)}


def _rule(reader: Reader, node: yaml.Node, key: str) -> FieldRule:
    if isinstance(node, yaml.ScalarNode):
        return FieldRule(path=_path(reader, node, key))
    given = reader.mapping(node, key, required=(), optional=("path", "const", "default", "required", "form"))
    if isinstance(node, yaml.MappingNode) and ("path" in given) == ("const" in given):
        reader.wrong(node, key, "expected either path or const")
    return FieldRule(
        path=_path(reader, given["path"], f"{key}.path") if "path" in given else None,
        const=_plain(reader, given["const"], f"{key}.const") if "const" in given else None,
        default=_plain(reader, given["default"], f"{key}.default") if "default" in given else None,
        required="required" in given and reader.flag(given["required"], f"{key}.required"),
        form=reader.choice(given["form"], f"{key}.form", Form) if "form" in given else Form.ANY,
    )


def _path(reader: Reader, node: yaml.Node, key: str) -> str:
    path = reader.text(node, key)
    if path and (mistake := path_mistake(path)):
        reader.wrong(node, key, mistake)
    return path


def _plain(reader: Reader, node: yaml.Node, key: str) -> Any:
    """Return text, a number, a flag, or lists and objects of these."""
    try:
        value = yaml.SafeLoader("").construct_object(node, deep=True)
        msgspec.json.encode(value)
    except (yaml.YAMLError, TypeError, ValueError):
        reader.wrong(node, key, "expected text, a number, true or false, or lists and objects of these")
        return None
    return value

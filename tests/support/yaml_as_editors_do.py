"""YAML read as editors read it: by the core schema of YAML 1.2, in which `yes` and dates are text."""

import re
from typing import Any

import yaml

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def load(text: str) -> Any:
    """Return the document as JSON. Raises yaml.YAMLError."""
    return _value(yaml.compose(text, yaml.SafeLoader))


def _value(node: yaml.Node | None) -> Any:
    match node:
        case yaml.MappingNode():
            return {str(name.value): _value(value) for name, value in node.value}
        case yaml.SequenceNode():
            return [_value(item) for item in node.value]
        case yaml.ScalarNode() if node.style:
            return node.value
        case yaml.ScalarNode():
            return _plain(node.value)
        case _:
            return None


def _plain(written: str) -> Any:
    if written in {"", "~", "null", "Null", "NULL"}:
        return None
    if written in {"true", "false"}:
        return written == "true"
    if _NUMBER.fullmatch(written):
        number = float(written)
        return int(number) if number.is_integer() else number
    return written

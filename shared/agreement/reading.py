"""Reading YAML strictly: every value is checked where it stands, and reading goes on after a mistake.

After a mistake the methods return a harmless value of the right type; the caller throws the result away when there
are mistakes.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import yaml

from shared.agreement.model import Plain
from shared.durations import format_duration, parse_duration

_DEEPEST = 20
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_NOTHING = ("", "~", "null", "Null", "NULL")

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong: where, about which key, and what was expected. Lines and columns count from 1."""

    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        about = f"{self.key}: " if self.key else ""
        return f"line {self.line}, column {self.column}: {about}{self.message}"


def compose(text: str) -> yaml.Node | Mistake:
    """Return the root of one YAML document, or what is wrong with its syntax."""
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                return _at(event.start_mark, "expected the value written out: anchors and aliases are not read")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return _at(event.start_mark, f"expected at most {_DEEPEST} levels")
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"expected YAML: {error.problem or error.context}"
        return _at(mark, message) if mark else Mistake(1, 1, "", message)
    except (yaml.YAMLError, ValueError) as error:
        return Mistake(1, 1, "", f"expected YAML: {str(error).splitlines()[0]}")
    if root is None:
        return Mistake(1, 1, "", "expected an agreement, not an empty file")
    return _mended(root)


def _mended(root: yaml.Node) -> yaml.Node | Mistake:
    r"""Return the tree with JSON's pairs of escapes (`\ud83d\ude00`) as one character; half a pair is a mistake."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif not node.value.isascii():
            try:
                node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                return _at(node.start_mark, "expected whole characters, not half of a pair of escapes")
    return root


@dataclass(slots=True)
class Reader:
    """Reads nodes and collects what is wrong with them. `None` for a node means that it is missing and was told."""

    mistakes: list[Mistake] = field(default_factory=list)
    sound: dict[str, yaml.Node] = field(
        default_factory=dict
    )  # numbers, durations and choices without a mistake, by key

    def wrong(self, node: yaml.Node, key: str, message: str) -> None:
        """Note a mistake at the node."""
        self.mistakes.append(Mistake(node.start_mark.line + 1, node.start_mark.column + 1, key, message))

    def unknown(self, node: yaml.Node, key: str, name: str, *, kind: str, known: Iterable[str]) -> None:
        """Note a name that does not exist, with the nearest that does."""
        names = list(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(names)}"
        self.wrong(node, key, f"there is no {kind} {name!r}; {hint}")

    def entries(self, node: yaml.Node | None, key: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node, str]]:
        """Yield name, value and key of each entry of a mapping."""
        if node is None:
            return
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, key, "expected names with values, such as {name: value}")
            return
        seen = set()
        for name_node, value in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self.wrong(name_node, key, "expected a name")
                continue
            name = str(name_node.value)
            at = f"{key}.{name}" if key else name
            if name in seen:
                self.wrong(name_node, at, f"expected {name!r} once, but it is written twice")
                continue
            seen.add(name)
            yield name_node, value, at

    def mapping(
        self, node: yaml.Node | None, key: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        """Return the values of a mapping with fixed names."""
        if node is None:
            return {}
        known = (*required, *optional)
        fields = {}
        for name, value, at in self.entries(node, key):
            if name.value in known:
                fields[name.value] = value
            else:
                self.unknown(name, at, name.value, kind="key", known=known)
        if isinstance(node, yaml.MappingNode):
            for missing in required:
                if missing not in fields:
                    self.wrong(node, f"{key}.{missing}" if key else missing, f"expected {missing}, but it is missing")
        return fields

    def items(self, node: yaml.Node | None, key: str) -> Iterator[tuple[yaml.Node, str]]:
        """Yield each item of a list with its key."""
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, key, "expected a list")
            return
        for index, item in enumerate(node.value):
            yield item, f"{key}[{index}]"

    def text(self, node: yaml.Node | None, key: str) -> str:
        """Return text that is not empty."""
        if node is None:
            return ""
        if not isinstance(node, yaml.ScalarNode) or _is_nothing(node) or not node.value.strip():
            self.wrong(node, key, "expected text")
            return ""
        return str(node.value)

    def number(self, node: yaml.Node | None, key: str, *, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number within the bounds."""
        if node is None:
            return 0.0
        number = _number(node)
        if number is None:
            self.wrong(node, key, f"expected a number, not {_written(node)}")
            return 0.0
        if not least <= number <= most:
            self.wrong(node, key, f"expected a number {_range(f'{least:g}', f'{most:g}', most)}, not {number:g}")
        else:
            self.sound[key] = node
        return number

    def integer(self, node: yaml.Node, key: str, *, least: int) -> int:
        """Return a whole number that is not below `least`."""
        number = _number(node)
        if number is None or number != int(number) or number < least:
            self.wrong(node, key, f"expected a whole number from {least} up, not {_written(node)}")
            return least
        return int(number)

    def flag(self, node: yaml.Node, key: str) -> bool:
        """Return true or false."""
        if not isinstance(node, yaml.ScalarNode) or node.style or node.value not in {"true", "false"}:
            self.wrong(node, key, f"expected true or false, not {_written(node)}")
            return False
        return bool(node.value == "true")

    def duration(
        self,
        node: yaml.Node | None,
        key: str,
        *,
        least: timedelta = timedelta(seconds=1),
        most: timedelta = timedelta(days=36500),
    ) -> timedelta:
        """Return a duration within the bounds."""
        if node is None:
            return least
        try:
            duration = parse_duration(node.value if isinstance(node, yaml.ScalarNode) else "")
        except (ValueError, OverflowError):
            self.wrong(node, key, f"expected a duration such as 15m, 4h or 30d, not {_written(node)}")
            return least
        if not least <= duration <= most:
            bounds = f"from {format_duration(least)} to {format_duration(most)}"
            self.wrong(node, key, f"expected a duration {bounds}, not {_written(node)}")
        else:
            self.sound[key] = node
        return duration

    def word(self, node: yaml.Node | None, key: str, words: tuple[str, ...]) -> str:
        """Return one of the words."""
        word = self.text(node, key)
        if node is not None and word and word not in words:
            self.unknown(node, key, word, kind="choice", known=words)
        return word if word in words else words[0]

    def choice(self, node: yaml.Node | None, key: str, options: type[E]) -> E:
        """Return a member of the enumeration."""
        word = self.text(node, key)
        if node is None or not word:
            return next(iter(options))
        try:
            member = options(word)
        except ValueError:
            self.unknown(node, key, word, kind=options.__name__.lower(), known=[str(option) for option in options])
            return next(iter(options))
        self.sound[key] = node
        return member

    def pattern(self, node: yaml.Node, key: str) -> Plain:
        """Return what a condition compares with. Only true and false are flags; yes, no, on and off are text."""
        if not isinstance(node, yaml.ScalarNode) or _is_nothing(node):
            self.wrong(node, key, "expected text, a number, true or false, or a list of these")
            return ""
        if not node.style:
            if node.value in {"true", "false"}:
                return bool(node.value == "true")
            number = _number(node)
            if number is not None:
                return number
        return str(node.value)


def _number(node: yaml.Node) -> float | None:
    if not isinstance(node, yaml.ScalarNode) or node.style or not _NUMBER.fullmatch(node.value):
        return None
    number = float(node.value)
    return number if math.isfinite(number) else None


def _is_nothing(node: yaml.ScalarNode) -> bool:
    return not node.style and node.value in _NOTHING


def _written(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value) if node.value else "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def _range(least: str, most: str, bound: float) -> str:
    return f"from {least} up" if math.isinf(bound) else f"from {least} to {most}"


def _at(mark: Any, message: str) -> Mistake:
    return Mistake(mark.line + 1, mark.column + 1, "", message)

"""The table of values in the chart's README, made from the comments in values.yaml."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from checks.result import Result

BEGIN, END = "<!-- values -->", "<!-- /values -->"
MARK = "# -- "


def table(chart: Path) -> Result:
    """Each value is described, and the README says so."""
    rows, missing = _rows(chart)
    problems = [f"values.yaml: {name} has no comment that starts with '{MARK}'" for name in missing]
    readme = (chart / "README.md").read_text(encoding="utf-8")
    if _between(readme) != rows:
        problems.append("README.md: the table of values is out of date: run `python deploy/check.py --write`")
    return Result("chart README: values", problems)


def write(chart: Path) -> None:
    path = chart / "README.md"
    readme = path.read_text(encoding="utf-8")
    before, after = readme.partition(BEGIN)[0], readme.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{_rows(chart)[0]}\n{END}{after}", encoding="utf-8")


def _between(readme: str) -> str:
    return readme.partition(BEGIN)[2].partition(END)[0].strip("\n")


def _rows(chart: Path) -> tuple[str, list[str]]:
    """Return the table, and the names of values that nothing describes."""
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml is not a mapping")
    rows, missing = ["| value | default | meaning |", "|---|---|---|"], []
    for name, meaning, node in _values(root, "", lines):
        if meaning:
            rows.append(f"| `{name}` | `{json.dumps(yaml.safe_load(yaml.serialize(node)))}` | {meaning} |")
        else:
            missing.append(name)
    return "\n".join(rows), missing


def _values(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[tuple[str, str, yaml.Node]]:
    """Yield name, meaning and node of each value. A map is one value if it has a meaning, else a group of values."""
    for key, value in node.value:
        name = prefix + key.value
        meaning = _comment(lines, key.start_mark.line)
        if not meaning and isinstance(value, yaml.MappingNode) and value.value:
            yield from _values(value, f"{name}.", lines)
        else:
            yield name, meaning, value


def _comment(lines: list[str], line: int) -> str:
    """Join the comment above a line, from its mark on."""
    above: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip())
        if above[0].startswith(MARK):
            return " ".join(part.removeprefix(MARK).removeprefix("# ") for part in above)
    return ""

"""Reading the rules of a team: which handoffs go where, in the order in which they are tried."""

import yaml

from services.router.domain.team import Rule
from shared.agreement.model import Condition
from shared.agreement.reading import Reader

_SIDES = ("contact.", "account.")


def read_rule(reader: Reader, node: yaml.Node, key: str) -> Rule:
    """Read `{when: {…}, pool: growth}`."""
    given = reader.mapping(node, key, required=("when", "pool"))
    return Rule(
        when=_when(reader, given.get("when"), f"{key}.when"), pool=reader.text(given.get("pool"), f"{key}.pool")
    )


def _when(reader: Reader, node: yaml.Node | None, key: str) -> tuple[Condition, ...]:
    conditions = []
    for name, value, at in reader.entries(node, key):
        field = str(name.value)
        if not any(field.startswith(side) and field != side for side in _SIDES):
            names = [f"{side}<name>" for side in _SIDES]
            reader.unknown(name, at, field, kind="field", known=names)
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not items:
            reader.wrong(value, at, "expected at least one value in the list")
        conditions.append(Condition(field=field, any_of=tuple(reader.pattern(item, at) for item in items)))
    if isinstance(node, yaml.MappingNode) and not node.value:
        reader.wrong(node, key, "expected at least one condition, such as account.industry: logistics")
    return tuple(conditions)

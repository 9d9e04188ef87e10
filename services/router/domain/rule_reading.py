"""Reading the rules of a team: which handoffs go where, in the order in which they are tried."""

import yaml

from services.router.domain.team import Hold, Owner, Rule, Unavailable
from shared.agreement.reading import Reader
from shared.agreement.when_reading import CONTACT_FIELDS, read_when
from shared.durations import parse_duration

_TARGETS = ("pool", "rep", "owner", "hold")


def read_rule(reader: Reader, node: yaml.Node, key: str) -> Rule:
    """Read `{when: {…}, pool: growth}`, `{when: {…}, rep: Rita}`, `{owner: account}` or `{when: {…}, hold: 2h}`."""
    given = reader.mapping(node, key, required=(), optional=("when", *_TARGETS, "unavailable"))
    targets = [name for name in _TARGETS if name in given]
    if isinstance(node, yaml.MappingNode):
        if len(targets) != 1:
            reader.wrong(node, key, "expected one of pool, rep, owner and hold: where such a handoff goes")
        if "when" not in given and "owner" not in targets:
            reader.wrong(node, f"{key}.when", "expected when, but it is missing; default_pool gets what no rule takes")
        if "unavailable" in given and "hold" in targets:
            reader.wrong(given["unavailable"], f"{key}.unavailable", "expected it beside pool, rep or owner only")
    default = Unavailable.WAIT if "pool" in targets else Unavailable.NEXT
    return Rule(
        when=read_when(reader, given.get("when"), f"{key}.when", fields=CONTACT_FIELDS),
        pool=reader.text(given.get("pool"), f"{key}.pool") or None,
        rep=reader.text(given.get("rep"), f"{key}.rep") or None,
        owner=reader.choice(given["owner"], f"{key}.owner", Owner) if "owner" in given else None,
        hold=_hold(reader, given["hold"], f"{key}.hold") if "hold" in given else None,
        unavailable=reader.choice(given["unavailable"], f"{key}.unavailable", Unavailable)
        if "unavailable" in given
        else default,
    )


def _hold(reader: Reader, node: yaml.Node, key: str) -> Hold:
    """Read a duration, or a reason to wait until somebody releases it; `{for: 2h, reason: …}` has both."""
    if isinstance(node, yaml.MappingNode):
        given = reader.mapping(node, key, required=("for",), optional=("reason",))
        return Hold(
            duration=reader.duration(given.get("for"), f"{key}.for"),
            reason=reader.text(given.get("reason"), f"{key}.reason"),
        )
    written = reader.text(node, key)
    try:
        parse_duration(written)
    except (ValueError, OverflowError):
        return Hold(reason=written)
    return Hold(duration=reader.duration(node, key))

"""Reading the rules of a team: which handoffs go where, in the order in which they are tried."""

import yaml

from services.router.domain.team import Rule
from shared.agreement.reading import Reader
from shared.agreement.when_reading import CONTACT_FIELDS, read_when


def read_rule(reader: Reader, node: yaml.Node, key: str) -> Rule:
    """Read `{when: {…}, pool: growth}`."""
    given = reader.mapping(node, key, required=("when", "pool"))
    return Rule(
        when=read_when(reader, given.get("when"), f"{key}.when", fields=CONTACT_FIELDS),
        pool=reader.text(given.get("pool"), f"{key}.pool"),
    )

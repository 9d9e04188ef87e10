"""Names of reps, pools and endpoints."""

import yaml

from shared.agreement.reading import Reader

LONGEST_NAME = 100  # characters


def read_name(reader: Reader, node: yaml.Node | None, key: str) -> str:
    """Read a name: short, and on one line."""
    name = reader.text(node, key)
    if node is not None and (len(name) > LONGEST_NAME or name != name.strip() or not name.isprintable()):
        reader.wrong(node, key, f"expected a name of at most {LONGEST_NAME} characters on one line")
    return name

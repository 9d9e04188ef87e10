"""Bodies that are forms, `application/x-www-form-urlencoded`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from services.ingest.domain.rejection import Reason, Refused

MAX_FIELDS = 2_000
MAX_PATH = 8  # names within one another

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def pairs_of(body: bytes) -> list[tuple[str, str]]:
    """Return names and values in their order. Raises Refused."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:  # UnicodeDecodeError, too
        raise Refused(Reason.WRONG_TYPE, f"It is not a form: {error}.") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise Refused(Reason.NUL_CHARACTER, "Send texts without the character NUL (%00).")
    if not pairs:
        raise Refused(Reason.WRONG_TYPE, "It is not a form: it has no fields.")
    return pairs


def tree_of(body: bytes) -> dict[str, Any]:
    """Return the fields as objects: `data[merges][EMAIL]=x` is `data.merges.EMAIL`. Raises Refused."""
    tree: dict[str, Any] = {}
    for name, value in pairs_of(body):
        matched = _NAME.fullmatch(name)
        path = [matched[1], *matched[2][1:-1].split("][")] if matched and matched[2] else [name]
        if len(path) > MAX_PATH:
            raise Refused(Reason.TOO_DEEP, f"Nest the names of fields at most {MAX_PATH} deep.")
        level = tree
        for key in path[:-1]:
            under = level.setdefault(key, {})
            if not isinstance(under, dict):
                under = level[key] = {}
            level = under
        level[path[-1]] = value
    return tree

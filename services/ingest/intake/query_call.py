"""A call in Segment's form whose fields are those of a query, such as `properties.plan=pro`: RudderStack's pixel."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.credentials import QUERY_PARAMETERS
from services.ingest.intake.payload import MAX_DEPTH

MAX_FIELDS = 500


def call_of_query(query: str) -> bytes:
    """Return the call as JSON, without the key. A field within one that is a text is left out. Raises Refused."""
    try:
        fields = parse_qsl(query, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Refused(Reason.WRONG_TYPE, f"Send at most {MAX_FIELDS} fields in a query.") from None
    call: dict[str, Any] = {}
    for name, value in fields:
        if name not in QUERY_PARAMETERS:
            _put(call, name.split("."), value)
    return msgspec.json.encode(call)


def _put(within: dict[str, Any], path: list[str], value: str) -> None:
    if len(path) > MAX_DEPTH:
        raise Refused(Reason.TOO_DEEP, f"Nest fields at most {MAX_DEPTH} deep.")
    for part in path[:-1]:
        inner = within.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        within = inner
    within[path[-1]] = value

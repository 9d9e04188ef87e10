"""Answers that a page of any origin may read. Nothing here rests on cookies."""

from collections.abc import Mapping
from types import MappingProxyType

EXPOSED: Mapping[str, str] = MappingProxyType({"Access-Control-Expose-Headers": "Retry-After, X-RateLimit-Reset"})


def any_origin(origin: str | None) -> dict[str, str]:
    """Return the headers that let a page of this `Origin` send and read the answer.

    Browser SDKs send with credentials, for which a browser takes no `*`.
    """
    if origin is None:
        return {"Access-Control-Allow-Origin": "*"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin, Access-Control-Request-Headers",
    }

"""The text of a brief in an install's own words: a Jinja template over the message, in a sandbox.

It sees `brief`, `contact`, `rep`, `pool`, `handoff` and `links`, as they stand in the message.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE = 20_000  # characters
LONGEST_TEXT = 40_000


class TemplateFailed(ValueError):
    """Raised when a template cannot be rendered; the message says where."""


def template_mistake(written: str) -> str | None:
    """Return what is wrong with a template's syntax."""
    if len(written) > LONGEST_TEMPLATE:
        return f"expected at most {LONGEST_TEMPLATE} characters, not {len(written)}"
    try:
        _compiled(written)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        return f"expected a Jinja template: {error.message}" + (f" (its line {line})" if line else "")
    return None


def render_template(written: str, data: Mapping[str, Any]) -> str:
    """Render the text. Raises TemplateFailed."""
    try:
        text = _compiled(written).render(data)
    except (
        TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise TemplateFailed(f"template: {type(error).__name__}: {error}") from None
    if len(text) > LONGEST_TEXT:
        raise TemplateFailed(f"template: it makes a text of {len(text)} characters; at most {LONGEST_TEXT} are sent.")
    return text


@lru_cache(maxsize=200)
def _compiled(written: str) -> Template:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(written)

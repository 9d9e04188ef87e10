"""The mapping of a source: how any JSON is to be understood, in expressions of JMESPath.

    events: leads[?status == 'new']          # where the events are: a list, or one object; without it, the whole body
    message_id: id
    timestamp: created_at                    # ISO 8601, or seconds or milliseconds since 1970
    email: person.email
    properties: {form: form_name, from: $.account.name}
    consent: person.agreed == 'yes'
    constants: {type: track, name: Form Submitted}

An expression sees one event; after `$.` it sees the whole body. A constant is what it says, and counts where the
expression of the same name finds nothing.

Other providers than `generic` need no mapping; theirs may have the key `consent` alone, whose expression sees the event
as it was understood: `{name, properties, traits}`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jmespath
import msgspec
import yaml
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult

from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.fields import TYPES

MAX_CHARACTERS = 20_000

TEXTS = ("type", "name", "message_id", "timestamp", "user_id", "email", "anonymous_id", "user_agent")
OBJECTS = ("properties", "traits")
CONSTANTS = ("type", "name", "properties", "traits")
_NAMES = ("user_id", "email", "anonymous_id")
CONSENT = "consent"
_KEYS = ("events", *TEXTS, *OBJECTS, CONSENT, "constants")
_WHOLE_BODY = "$."


class MappingError(ValueError):
    """Raised for a mapping that cannot be used: each problem names its place and says what would be right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Expression(msgspec.Struct, frozen=True):
    """A compiled expression."""

    text: str
    parsed: Any
    whole_body: bool

    def search(self, event: Any, body: Any) -> Any:
        """Return what the expression finds. Raises JMESPathError."""
        return self.parsed.search(body if self.whole_body else event)


class EventMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping that was found right."""

    events: Expression | None = None
    texts: Mapping[str, Expression] = {}
    objects: Mapping[str, Expression | Mapping[str, Expression]] = {}
    consent: Expression | None = None
    constants: Mapping[str, Any] = {}


@lru_cache(maxsize=1_000)
def compile_mapping(text: str) -> EventMapping:
    """Read a mapping in YAML or JSON. Raises MappingError with everything that is wrong with it."""
    document = _document(text)
    compiling = _Compiling()
    mapping = compiling.mapping(document)
    if compiling.problems:
        raise MappingError(compiling.problems)
    return mapping


@lru_cache(maxsize=1_000)
def compile_consent(text: str) -> Expression | None:
    """Return what finds the consent by the mapping of a provider that needs no other; None where it says nothing.

    Raises MappingError.
    """
    if not text.strip():
        return None
    document = _document(text)
    if document.keys() != {CONSENT}:
        return compile_mapping(text).consent
    compiling = _Compiling()
    expression = compiling.expression(CONSENT, document[CONSENT])
    if compiling.problems:
        raise MappingError(compiling.problems)
    return expression


def search(place: str, expression: Expression, event: Any, body: Any) -> Any:
    """Return what the expression at a place of the mapping finds. Raises Refused."""
    try:
        return expression.search(event, body)
    except (JMESPathError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise Refused(
            Reason.NOT_MAPPED, f"The mapping's `{place}` fails on it: {' '.join(str(error).split())[:300]}"
        ) from None


def consent_found(expression: Expression, event: Any, body: Any) -> Any:
    """Return what the expression finds; one that fails on an event finds none, and an opt-out has to be heard."""
    try:
        return search(CONSENT, expression, event, body)
    except Refused:
        return None


def _document(text: str) -> dict[Any, Any]:
    if len(text) > MAX_CHARACTERS:
        raise MappingError([f"The mapping is longer than {MAX_CHARACTERS} characters."])
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MappingError([f"The mapping is neither YAML nor JSON: {error}"]) from None
    if not isinstance(document, dict) or not document:
        raise MappingError([f"Write the mapping as an object with some of the keys {', '.join(_KEYS)}."])
    return document


class _Compiling:
    """Collects problems, so that one attempt tells all of them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def mapping(self, document: dict[Any, Any]) -> EventMapping:
        for key in document:
            if key not in _KEYS:
                self.problems.append(f"`{key}` is not known; the keys are {', '.join(_KEYS)}.")
        constants = self._constants(document.get("constants", {}))
        if not any(name in document for name in _NAMES):
            self.problems.append(f"Say who an event is about: map at least one of {', '.join(_NAMES)}.")
        kinds = document.get("type") or constants.get("type", "track") == "track"
        if kinds and "name" not in document and "name" not in constants:
            self.problems.append("Give track calls a name: map `name`, or set it in `constants`.")
        return EventMapping(
            events=self.expression("events", document["events"]) if "events" in document else None,
            texts=self._table("", {key: document[key] for key in TEXTS if key in document}),
            objects={key: self._object(key, document[key]) for key in OBJECTS if key in document},
            consent=self.expression(CONSENT, document[CONSENT]) if CONSENT in document else None,
            constants=constants,
        )

    def _object(self, key: str, value: Any) -> Expression | Mapping[str, Expression]:
        return self._table(f"{key}.", value) if isinstance(value, dict) else self.expression(key, value)

    def _table(self, place: str, table: dict[Any, Any]) -> Mapping[str, Expression]:
        return {str(name): self.expression(f"{place}{name}", value) for name, value in table.items()}

    def expression(self, place: str, value: Any) -> Expression:
        """Compile an expression; what is wrong with it is among the problems."""
        if not isinstance(value, str) or not value.strip():
            self.problems.append(f"`{place}` is not an expression; write a text such as contact.email.")
            return _NOTHING
        text = value.strip()
        whole_body = text.startswith(_WHOLE_BODY)
        try:
            parsed = jmespath.compile(text.removeprefix(_WHOLE_BODY))
        except (JMESPathError, RecursionError) as error:
            self.problems.append(f"`{place}` is not JMESPath: {' '.join(str(error).split())}")
            return _NOTHING
        self.problems += [f"`{place}`: {problem}" for problem in _functions(parsed)]
        return Expression(text, parsed, whole_body)

    def _constants(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.problems.append("`constants` is not an object.")
            return {}
        for key, constant in value.items():
            if key not in CONSTANTS:
                self.problems.append(f"`constants.{key}` is not known; constants are {', '.join(CONSTANTS)}.")
            elif key in OBJECTS:
                if not isinstance(constant, dict) or not all(isinstance(name, str) for name in constant):
                    self.problems.append(f"`constants.{key}` is not an object.")
            elif not isinstance(constant, str) or not constant.strip():
                self.problems.append(f"`constants.{key}` is not a text.")
            elif key == "type" and constant not in TYPES:
                self.problems.append(f"`constants.type` is not one of {', '.join(TYPES)}.")
        return {str(key): constant for key, constant in value.items()}


def _functions(parsed: ParsedResult) -> Iterator[str]:
    """Yield what is wrong with the calls of functions, which JMESPath itself finds out only as it runs."""
    nodes: list[Any] = [parsed.parsed]
    while nodes:
        node = nodes.pop()
        if not isinstance(node, dict):
            continue
        nodes += node.get("children", ())
        if node.get("type") != "function_expression":
            continue
        name, given = node["value"], len(node["children"])
        known = Functions.FUNCTION_TABLE.get(name)
        if known is None:
            yield f"there is no function {name}()."
            continue
        signature = known["signature"]
        variadic = bool(signature) and bool(signature[-1].get("variadic"))
        if given < len(signature) or (given > len(signature) and not variadic):
            yield f"{name}() takes {len(signature)} arguments, not {given}."


_NOTHING = Expression("", None, whole_body=False)

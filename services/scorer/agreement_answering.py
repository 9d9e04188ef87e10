"""How routes about agreements read a text, and what they tell of one that is wrong."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from fastapi import Path, Request

from services.scorer.errors import (
    AgreementClosed,
    AgreementError,
    AgreementMissing,
    HashMismatch,
    NotADraft,
    SameKey,
    ShadowMissing,
    SimulationMissing,
    SimulationsWaiting,
)
from shared.agreement.parse import LARGEST_TEXT
from shared.agreement.reading import Mistake
from shared.http.problems import ProblemError

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

_PROBLEMS: dict[type[AgreementError], tuple[int, str]] = {
    AgreementMissing: (404, "agreement_not_found"),
    HashMismatch: (409, "hash_mismatch"),
    AgreementClosed: (409, "agreement_superseded"),
    SimulationMissing: (404, "simulation_not_found"),
    SimulationsWaiting: (409, "simulations_waiting"),
    ShadowMissing: (404, "shadow_not_found"),
    NotADraft: (409, "not_a_draft"),
    SameKey: (409, "same_key"),
}


@contextmanager
def told() -> Iterator[None]:
    """Make a problem of what somebody who works on agreements has to be told."""
    try:
        yield
    except AgreementError as error:
        status, code = _PROBLEMS[type(error)]
        raise ProblemError(status, code, str(error)) from None


def mistaken(mistakes: Sequence[Mistake]) -> ProblemError:
    """Return the problem that tells every mistake, with line and column."""
    errors = [
        {"line": mistake.line, "column": mistake.column, "key": mistake.key, "message": mistake.message}
        for mistake in mistakes
    ]
    return ProblemError(422, "invalid_agreement", "; ".join(map(str, mistakes)), errors=errors)


async def text_of(request: Request) -> str:
    """Return the text of an agreement that was sent. Raises a 413 or 422 problem."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_TEXT:
            raise ProblemError(413, "agreement_too_large", f"An agreement may have at most {LARGEST_TEXT} bytes.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError(422, "invalid_agreement", "Send the agreement as YAML in UTF-8.", errors=[]) from None

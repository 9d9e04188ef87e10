"""Errors as `application/problem+json`, with the `code` and `message` keys that the tracking SDKs look for."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.postgres.engine import PASSING, passes

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An answer that is an error: `code` for machines, `message` says what to do."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.facts = facts

    def response(self) -> Response:
        """Return the response that says so."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "message": self.message,
            **self.facts,
        }
        return Response(msgspec.json.encode(body), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Make every error of the app a problem; a database that is away is a 503."""

    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return error.response()

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return ProblemError(error.status_code, code, str(error.detail), headers=error.headers).response()

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = [{"at": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in error.errors()]
        message = "; ".join(f"{item['at']}: {item['message']}" for item in wrong)
        return ProblemError(422, "invalid_request", message, errors=wrong).response()

    async def away(_: Request, error: Exception) -> Response:
        if not passes(error):
            raise error
        message = "The database cannot be reached. Try again."
        return ProblemError(503, "database_unavailable", message, headers={"Retry-After": "2"}).response()

    app.add_exception_handler(ProblemError, problem)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind in PASSING:
        app.add_exception_handler(kind, away)

"""Accounts over HTTP: what the people of a company did together, explained."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.scorer.account_showing import show_account
from services.scorer.answering import READERS, encode_cursor, rank_cursor
from services.scorer.domain.account import AccountState
from services.scorer.domain.state import account_id
from services.scorer.domain.terms import Terms
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import AgreementStore
from shared.clock import Clock, require_aware
from shared.http.keys import KeyRing, require
from shared.http.pages import Cursor, Limit, json_response
from shared.http.problems import ProblemError

AsOf = Annotated[datetime | None, Query(description="Instant to score at, with a time zone; now when absent.")]


def create_account_routes(
    engine: AsyncEngine, *, accounts: AccountStore, agreements: AgreementStore, keys: KeyRing, clock: Clock
) -> APIRouter:
    """Build the routes below `/v1/accounts`."""
    router = APIRouter(prefix="/v1/accounts")

    @router.get("")
    async def list_accounts(
        request: Request, domain: str | None = None, cursor: Cursor = None, limit: Limit = 50, as_of: AsOf = None
    ) -> Response:
        """List accounts, the most engaged first; the one of a domain with `domain`."""
        require(keys, request, *READERS)
        before = rank_cursor(cursor)
        at = _instant(as_of, clock)
        async with engine.connect() as connection:
            terms = await _terms(connection)
            if domain is not None:
                found = [(account_id(_plain(domain)), 0.0)]
            else:
                found = await accounts.page(connection, before=before, limit=limit + 1)
            ids = [one for one, _ in found[:limit]]
            people = await accounts.people(connection, ids)
            states = await accounts.read(connection, ids)
        shown = [
            show_account(one, states.get(one, AccountState()), counting, terms, as_of=at)
            for one, counting in people.items()
            if counting
        ]
        more = f"{found[limit - 1][1]!r} {found[limit - 1][0]}" if len(found) > limit else None
        return json_response({"accounts": shown, "next": encode_cursor(more)})

    @router.get("/{key}")
    async def read_account(request: Request, key: str, as_of: AsOf = None) -> Response:
        """Return an account by its id or domain: who counts for it, and what is missing until it is ready."""
        require(keys, request, *READERS)
        at = _instant(as_of, clock)
        try:
            one = UUID(key)
        except ValueError:
            one = account_id(_plain(key))
        async with engine.connect() as connection:
            terms = await _terms(connection)
            people = (await accounts.people(connection, [one]))[one]
            state = (await accounts.read(connection, [one])).get(one)
        if not people and state is None:
            raise ProblemError(404, "account_not_found", f"Nobody of an account {key} counts for it.")
        return json_response(show_account(one, state or AccountState(), people, terms, as_of=at))

    async def _terms(connection: AsyncConnection) -> Terms:
        active = await agreements.active(connection)
        if active is None or active.terms.accounts is None:
            raise ProblemError(
                404,
                "accounts_not_agreed",
                "The active agreement has no `accounts`. Propose one that has, and let marketing and sales sign it.",
            )
        return active.terms

    return router


def _plain(domain: str) -> str:
    return domain.strip().lower().rstrip(".")


def _instant(as_of: datetime | None, clock: Clock) -> datetime:
    if as_of is None:
        return clock()
    try:
        return require_aware(as_of)
    except (ValueError, OverflowError):
        raise ProblemError(422, "invalid_request", "Send `as_of` with a time zone: append Z.") from None

"""`tandem handoff accept` and its like: the answers of sales from the command line."""

from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli_client import DEFAULT_URL, Key, Url, client
from services.cli_handoff import handoff
from services.terminal import call, out, printable

__all__ = ["handoff"]  # the group, with the commands below

Note = Annotated[str, typer.Option(help="In your words.")]
Objection = Annotated[str, typer.Option(help="What the contact holds against it.")]


@handoff.command("accept")
def handoff_accept(
    handoff_id: UUID,
    rep: Annotated[str, typer.Option(help="Who takes it, if that is not who has it.")] = "",
    note: Note = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Take a handoff; its clock stops.

    Example: tandem handoff accept 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --key rep_…
    """
    _answer(handoff_id, "accept", url, key, rep=rep, note=note)


@handoff.command("reject")
def handoff_reject(
    handoff_id: UUID,
    reason: Annotated[str, typer.Option(help="One of the agreement's.")],
    objection: Objection = "",
    note: Note = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Give a handoff back to marketing.

    Example: tandem handoff reject 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --reason no_budget --key rep_…
    """
    _answer(handoff_id, "reject", url, key, reason=reason, objection=objection, note=note)


@handoff.command("qualify")
def handoff_qualify(handoff_id: UUID, note: Note = "", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Say that a handoff is an opportunity.

    Example: tandem handoff qualify 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --key rep_…
    """
    _answer(handoff_id, "qualify", url, key, note=note)


@handoff.command("win")
def handoff_win(
    handoff_id: UUID,
    amount: Annotated[str, typer.Option(help="What for, as 18000.00; with --currency.")] = "",
    currency: Annotated[str, typer.Option(help="Of the amount, as in ISO 4217: EUR, USD.")] = "",
    note: Note = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Say that the deal is won.

    Example: tandem handoff win 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --amount 18000.00 --currency EUR --key rep_…
    """
    _answer(handoff_id, "win", url, key, amount=amount, currency=currency, note=note)


@handoff.command("lose")
def handoff_lose(
    handoff_id: UUID,
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    objection: Objection = "",
    note: Note = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Say that the deal is lost.

    Example: tandem handoff lose 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --reason "no decision" --key rep_…
    """
    _answer(handoff_id, "lose", url, key, reason=reason, objection=objection, note=note)


@handoff.command("objection")
def handoff_objection(handoff_id: UUID, objection: str, note: Note = "", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Note what the contact holds against it.

    Example: tandem handoff objection 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b "too expensive" --key rep_…
    """
    _answer(handoff_id, "objection", url, key, objection=objection, note=note)


@handoff.command("story")
def handoff_story(handoff_id: UUID, story: str, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Note what a customer who was won tells.

    Example: tandem handoff story 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b "They saved two hours a day." --key rep_…
    """
    _answer(handoff_id, "story", url, key, note=story)


def _answer(handoff_id: UUID, step: str, url: str, key: str, **said: str) -> None:
    body: dict[str, Any] = {name: value for name, value in said.items() if value}
    shown = call(lambda: client(url, key).answer_handoff(handoff_id, step, body))
    who = f" with {shown['rep']['name']}" if shown["rep"] else ""
    out.print(printable(f"{shown['id']} is {shown['state']}{who}", lines=False), soft_wrap=True)

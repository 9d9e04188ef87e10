"""`tandem handoff`: what was handed over to whom, and why."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table

from services.cli_client import DEFAULT_URL, Key, Url, client
from services.terminal import call, out, printable
from shared.durations import format_duration

handoff = typer.Typer(help="What was handed over to whom, and why.", no_args_is_help=True)


@handoff.command("list")
def handoff_list(
    state: Annotated[list[str] | None, typer.Option(help="Only those in this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List handoffs, newest first.

    Example: tandem handoff list --state ready --key rep_…
    """
    page = call(lambda: client(url, key).get("/v1/handoffs", state=state or [], limit=limit))
    table = Table("handoff", "state", "contact", "pool", "rep", "since", box=None, pad_edge=False)
    for item in page["handoffs"]:
        contact = item["contact"].get("email") or item["contact"]["id"]
        rep = item["rep"]["name"] if item["rep"] else ""
        cells = (item["id"], item["state"], contact, item["pool"] or "", rep, item["state_since"])
        table.add_row(*(printable(str(cell), lines=False) for cell in cells))
    out.print(table)


@handoff.command("show")
def handoff_show(handoff_id: UUID, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Print a handoff: where it stands, its brief, and every step that it took.

    Example: tandem handoff show 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --key rep_…
    """
    shown = call(lambda: client(url, key).get(f"/v1/handoffs/{handoff_id}"))
    who = f" with {shown['rep']['name']}" if shown["rep"] else ""
    _say(f"{shown['id']} is {shown['state']}{who}")
    _say(shown["brief"]["text"])
    for step in shown["history"]:
        _say(f"{step['at']}  {step['step'] or 'came in'} → {step['after']}  by {step['by']}")


@handoff.command("clock")
def handoff_clock(
    within: Annotated[str, typer.Option(help="Only those whose time ends so soon, as 30m.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List the handoffs whose clock runs, the one whose time ends next first.

    What is left until the answer is due is shown by the rep's hours, the team's and the wall; below zero it is late.

    Example: tandem handoff clock --within 1h --key rep_…
    """
    query: dict[str, Any] = {"within": within} if within else {}
    page = call(lambda: client(url, key).get("/v1/handoffs/clock", **query, limit=limit))
    table = Table(
        "handoff", "contact", "pool", "rep", "then", "at", "rep's", "team's", "wall's", box=None, pad_edge=False
    )
    for item in page["handoffs"]:
        clock = item["clock"]
        contact = item["contact"].get("email") or item["contact"]["id"]
        rep = item["rep"]["name"] if item["rep"] else ""
        following = (clock["next"]["step"], clock["next"]["at"]) if clock["next"] else ("", "")
        left = (_left(clock[whose]) for whose in ("rep", "team", "wall"))
        cells = (item["id"], contact, item["pool"] or "", rep, *following, *left)
        table.add_row(*(printable(str(cell), lines=False) for cell in cells))
    out.print(table)


@handoff.command("why")
def handoff_why(
    handoff_id: UUID,
    rep: Annotated[str, typer.Option(help="Name or e-mail: why they got it, or why not.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Say why a handoff went where it went, or why a rep did not get it.

    Example: tandem handoff why 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --rep "Amara Okafor" --key rep_…
    """
    query: dict[str, Any] = {"rep": rep} if rep else {}
    told = call(lambda: client(url, key).get(f"/v1/handoffs/{handoff_id}/decision", **query))
    if told["decision"] is None:
        _say("Nothing is decided yet: the team has no pool, or nobody has looked at it.")
    elif rep:
        _say(told["rep"]["words"])
    else:
        for line in told["words"]:
            _say(line)


@handoff.command("release")
def handoff_release(handoff_id: UUID, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Let a handoff pass what a rule holds it for.

    Example: tandem handoff release 0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b --key sales_…
    """
    call(lambda: client(url, key).release_handoff(handoff_id))
    _say("It goes on to the rules below.")


def _left(reading: dict[str, Any] | None) -> str:
    if reading is None:
        return ""
    left = timedelta(seconds=round(reading["left_seconds"]))
    return f"-{format_duration(-left)}" if left < timedelta() else format_duration(left)


def _say(text: str) -> None:
    out.print(printable(text), soft_wrap=True, highlight=False, markup=False)

"""`tandem route`: what a draft of rules and pools would have done."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, out, printable

route = typer.Typer(help="What a draft of rules and pools would have done.", no_args_is_help=True)


@route.command("simulate")
def route_simulate(
    file: Path,
    since: Annotated[str, typer.Option(help="How far back, such as 30d.")] = "30d",
    limit: Annotated[int, typer.Option(help="The newest so many handoffs.", min=1, max=5000)] = 2000,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Run a draft of the team over past handoffs: who would have got what, each rep's load, what comes too late.

    Example: tandem route simulate draft.yaml --since 30d --key sales_…
    """
    text = read_text(file)
    result = call(lambda: client(url, key).ask_team("simulate", text, since=since, limit=limit))
    _print(result)


def _print(result: dict[str, Any]) -> None:
    out.print(
        f"{result['handoffs']} handoffs: {result['assigned']} assigned, {result['waiting']} still waiting, "
        f"{result['changed']} to another rep than then, {result['late']} too late",
        soft_wrap=True,
    )
    out.print(f"It began with {result['open_before']} that reps had open.")
    table = Table("rep", "got", "then", "most open", "most an hour", "most a day", "late", box=None, pad_edge=False)
    for rep in result["reps"]:
        numbers = ("got", "got_then", "most_open", "most_within_hour", "most_within_day", "late")
        table.add_row(printable(rep["rep"], lines=False), *(str(rep[name]) for name in numbers))
    out.print(table)
    rules = ", ".join(f"rule {name}: {count}" for name, count in sorted(result["rules"].items()))
    out.print(rules or "No rule took anything.", soft_wrap=True)
    for breach in result["breaches"]:
        when = breach["assigned_at"] or "never"
        out.print(f"late: {breach['handoff']} came {breach['arrived_at']}, assigned {when}", soft_wrap=True)

"""`tandem delivery`: what was sent where, and sending it again."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, fail, out, printable

if TYPE_CHECKING:
    from services.client_deliveries import DeliveriesClient

delivery = typer.Typer(help="What was sent where, and sending it again.", no_args_is_help=True)

_POLL_SECONDS = 0.5

State = Annotated[
    list[str] | None, typer.Option(help="pending, sending, delivered, dead or cancelled; may be given several times.")
]
EndpointName = Annotated[str | None, typer.Option(help="Only those to this endpoint.")]
Outcome = Annotated[str | None, typer.Option(help="Only those whose last attempt came to this, such as timed_out.")]
Since = Annotated[str | None, typer.Option(help="Only those made since, as 2026-03-01T00:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Only those made before.")]


@delivery.command("list")
def list_deliveries(
    state: State = None,
    endpoint: EndpointName = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to list.")] = 50,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List deliveries, newest first.

    Example: tandem delivery list --state dead --endpoint crm --key sales_…
    """
    wanted = {
        "state": state,
        "endpoint": endpoint,
        "outcome": outcome,
        "created_from": since,
        "created_before": until,
    }
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for column in ("endpoint", "state", "attempts", "last outcome", "made", "next attempt"):
        table.add_column(column)
    for row in call(lambda: _client(url, key).deliveries(limit=limit, **wanted)):
        cells = (
            row["id"],
            row["endpoint"],
            row["state"],
            str(row["attempts"]),
            row["last_outcome"] or "-",
            row["created_at"],
            row["next_attempt_at"] or "-",
        )
        table.add_row(*(Text(printable(cell, lines=False)) for cell in cells))
    out.print(table)


@delivery.command("show")
def show(identity: Annotated[str, typer.Argument(metavar="ID")], url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Show a delivery and each of its attempts.

    Example: tandem delivery show 0d5b9e0a-6c1e-5f0c-8f39-1d2f0a4f8f11 --key sales_…
    """
    _print(call(lambda: _client(url, key).delivery(identity)))


@delivery.command("replay")
def replay(
    identities: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    state: State = None,
    endpoint: EndpointName = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Deliveries a second.")] = 20,
    dry_run: Annotated[bool, typer.Option(help="Only say how many.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until all are due.")] = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Send deliveries again, under the webhook-id that they had: those named, or all that are dead and fit.

    Without names it is done by the router, so many a second, and goes on if this command ends.

    Example: tandem delivery replay --endpoint crm --since 2026-03-01T00:00:00Z --dry-run --key sales_…
    """
    filters = {
        "state": state,
        "endpoint": endpoint,
        "outcome": outcome,
        "created_from": since,
        "created_before": until,
    }
    wanted = {name: value for name, value in filters.items() if value is not None}
    if identities and wanted:
        raise fail("Give ids, or say which with options; not both.")
    asked: dict[str, Any] = {"ids": identities} if identities else {"wanted": wanted, "rate": rate}
    answer = call(lambda: _client(url, key).replay_deliveries({**asked, "dry_run": dry_run}))
    if dry_run:
        out.print(f"{answer['would_replay']} would be sent again")
    elif identities:
        out.print(f"{len(answer['replayed'])} are sent again, {len(answer['left'])} are left")
    else:
        done = call(lambda: _ended(_client(url, key), answer["id"])) if wait else answer
        out.print(f"replay {done['id']} is {done['state']}: {done['replayed']} are sent again, {done['left']} are left")


async def _ended(client: "DeliveriesClient", replay_id: str) -> Any:
    async with client:
        while True:
            found = await client.replay(replay_id)
            if found["state"] != "running":
                return found
            await asyncio.sleep(_POLL_SECONDS)


def _print(value: Any) -> None:
    # ASCII: what a receiver answered is shown, and must not take the terminal over.
    out.print(json.dumps(value, indent=2), soft_wrap=True, highlight=False, markup=False)


def _client(url: str, key: str) -> "DeliveriesClient":
    from services.client_deliveries import DeliveriesClient

    return DeliveriesClient(url, key)

"""`tandem endpoint`: how endpoints do, on and off, a new secret, and a try."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, out, printable

if TYPE_CHECKING:
    from services.client_deliveries import DeliveriesClient

endpoint = typer.Typer(help="Where webhooks go: how it does, on and off, a new secret.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the endpoint.")]


@endpoint.command("list")
def list_endpoints(url: Url = DEFAULT_URL, key: Key = "") -> None:
    """List the endpoints of the team and how they do.

    Example: tandem endpoint list --key admin_…
    """
    table = Table(box=None, pad_edge=False)
    for column in ("name", "status", "failures", "url"):
        table.add_column(column, overflow="fold")
    for item in call(lambda: _client(url, key).endpoints()):
        cells = (item["name"], item["status"], str(item.get("failures", "")), item["url"])
        table.add_row(*(Text(printable(cell, lines=False)) for cell in cells))
    out.print(table)


@endpoint.command("show")
def show(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Show an endpoint, its options, its public key if it has one, and what holds it back.

    Example: tandem endpoint show crm --key admin_…
    """
    _print(call(lambda: _client(url, key).endpoint(name)))


@endpoint.command("enable")
def enable(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Send to the endpoint again; what waited for it goes out.

    Example: tandem endpoint enable crm --key admin_…
    """
    _say(name, call(lambda: _client(url, key).act_on_endpoint(name, "enable")))


@endpoint.command("disable")
def disable(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Send nothing more to the endpoint; what is for it waits until it is enabled.

    Example: tandem endpoint disable crm --key admin_…
    """
    _say(name, call(lambda: _client(url, key).act_on_endpoint(name, "disable")))


@endpoint.command("rotate-secret")
def rotate(
    name: Name,
    overlap: Annotated[str, typer.Option(help="How long the old secret signs too; 0 ends it at once.")] = "24h",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Give the endpoint a new secret and print it, or the public key of one that signs with ed25519.

    Example: tandem endpoint rotate-secret crm --overlap 24h --key admin_…
    """
    rotated = call(lambda: _client(url, key).act_on_endpoint(name, "rotate-secret", {"overlap": overlap}))
    kind, shown = ("secret", rotated["secret"]) if "secret" in rotated else ("public key", rotated["public_key"])
    out.print(f"new {kind} of {name}: {shown}", soft_wrap=True, highlight=False, markup=False)
    out.print(f"the old one signs too until {rotated['old_signature_until']}", highlight=False, markup=False)


@endpoint.command("test")
def try_out(name: Name, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Send a message that means nothing, once and now. Exit code 1 when it did not arrive.

    Example: tandem endpoint test crm --key admin_…
    """
    tried = call(lambda: _client(url, key).act_on_endpoint(name, "test"))
    _print(tried)
    if not tried["delivered"]:
        raise typer.Exit(1)


def _say(name: str, shown: Any) -> None:
    out.print(f"{name} is {shown['status']}", highlight=False, markup=False)


def _print(value: Any) -> None:
    # ASCII: what a receiver answered is shown, and must not take the terminal over.
    out.print(json.dumps(value, indent=2), soft_wrap=True, highlight=False, markup=False)


def _client(url: str, key: str) -> "DeliveriesClient":
    from services.client_deliveries import DeliveriesClient

    return DeliveriesClient(url, key)

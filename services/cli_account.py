"""The subcommands about companies: `tandem account`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, out

if TYPE_CHECKING:
    from services.client import TandemClient

account = typer.Typer(help="Companies: what their people do together.", no_args_is_help=True)


@account.command("show")
def account_show(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The company's domain, or the account's id.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Show who counts for a company, what each adds, and what is missing until it is ready.

    In production --url is that of the scorer.

    Example: tandem account show acme.example --key sales_…
    """
    found = call(lambda: _client(url, key).account(domain))
    engagement, state = found["engagement"]["score"], found["arming"]["state"]
    out.print(f"{found['domain'] or found['id']}: engagement {engagement:.1f}, {state}", highlight=False, markup=False)
    table = Table("person", "title", "roles", "engagement", "adds", "last", "arming")
    for person in found["people"]:
        table.add_row(
            person["name"] or person["email"] or person["id"],
            str(person["title"] or ""),
            ", ".join(person["roles"]),
            f"{person['engagement']:.1f}",
            f"{person['adds']:.1f}",
            (person["last_at"] or "")[:16].replace("T", " "),
            person["arming"],
        )
    out.print(table)
    if found["left_out"]:
        out.print(f"{len(found['left_out'])} more count nothing.", highlight=False)
    missing = ", ".join(found["missing"])
    out.print(f"Missing: {missing}." if missing else "Ready.", highlight=False, markup=False)


@account.command("list")
def account_list(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20, url: Url = DEFAULT_URL, key: Key = ""
) -> None:
    """List the most engaged companies.

    In production --url is that of the scorer.

    Example: tandem account list --limit 10 --key marketing_…
    """
    page = call(lambda: _client(url, key).get("/v1/accounts", limit=str(limit)))
    table = Table("account", "engagement", "people", "missing")
    for found in page["accounts"]:
        table.add_row(*_row(found))
    out.print(table)


def _row(found: dict[str, Any]) -> tuple[str, str, str, str]:
    score = f"{found['engagement']['score']:.1f}"
    return found["domain"] or found["id"], score, str(len(found["people"])), ", ".join(found["missing"]) or "ready"


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)

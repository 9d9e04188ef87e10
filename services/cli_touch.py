"""The subcommand `touch`: what a contact did, and what a person makes of it."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, out, printable

if TYPE_CHECKING:
    from services.client import TandemClient

touch = typer.Typer(help="What a contact did, and what of it counts.", no_args_is_help=True)

Contact = Annotated[UUID, typer.Argument(help="Id of the contact.")]
TouchId = Annotated[UUID, typer.Argument(help="Id of the touch, as `tandem touch list` shows it.")]


@touch.command("list")
def touch_list(
    contact: Contact,
    suspect: Annotated[bool, typer.Option("--suspect", help="Only those that something speaks against.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many of the newest to look at.")] = 50,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List what the contact did, newest first, with the rules that each touch meets and what speaks against it.

    Example: tandem touch list 6f0c… --suspect --key marketing_…
    """
    page = call(lambda: _client(url, key).get(f"/v1/contacts/{contact}/touches", limit=limit))
    table = Table("touch", "when", "what", "rules", "counts")
    for listed in page["touches"]:
        if listed["suspect"] or not suspect:
            what = " ".join(filter(None, (listed["type"], listed["name"], listed["path"])))
            row = (listed["id"], listed["occurred_at"], what, ", ".join(listed["rules"]), _verdict(listed))
            table.add_row(*(Text(printable(cell, lines=False)) for cell in row))
    out.print(table)


@touch.command("trust")
def touch_trust(contact: Contact, touch_id: TouchId, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Let a touch count, whatever speaks against it. The contact is decided anew at once.

    Example: tandem touch trust 6f0c… 0b4e… --key marketing_…
    """
    _overrule(contact, touch_id, "trust", url=url, key=key)


@touch.command("distrust")
def touch_distrust(contact: Contact, touch_id: TouchId, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Let a touch count nothing. The contact is decided anew at once.

    Example: tandem touch distrust 6f0c… 0b4e… --key marketing_…
    """
    _overrule(contact, touch_id, "distrust", url=url, key=key)


def _overrule(contact: UUID, touch_id: UUID, word: str, *, url: str, key: str) -> None:
    listed = call(lambda: _client(url, key).overrule_touch(contact, touch_id, word))
    out.print(f"Touch {touch_id} {printable(_verdict(listed))}", soft_wrap=True, highlight=False, markup=False)


def _verdict(listed: dict[str, Any]) -> str:
    suspect = listed["suspect"]
    if suspect is None:
        return "counts"
    word = "counts" if suspect["counts"] else "counts nothing"
    reason = f": {suspect['reason']}" if suspect["reason"] else ""
    by = f" (decided by {suspect['by']})" if suspect["overruled"] else ""
    return f"{word}{reason}{by}"


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)

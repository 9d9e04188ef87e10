"""The subcommands about single contacts: `tandem contact`."""

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, fail, out

if TYPE_CHECKING:
    from services.client import TandemClient

contact = typer.Typer(help="Single contacts.", no_args_is_help=True)


@contact.command("merges")
def contact_merges(
    contact_id: Annotated[str, typer.Argument(metavar="ID", help="The contact; one that was merged away counts too.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List the merges that made a contact what it is, newest first, with the names that showed each.

    In production --url is that of ingest.

    Example: tandem contact merges 7d1c… --key marketing_…
    """
    merges = call(lambda: _client(url, key).merges(_uuid(contact_id)))
    if not merges:
        out.print("No merges.")
    for merge in merges:
        names = ", ".join(f"{kind} {value}" for kind, value in merge["evidence"].items())
        undone = f"; undone by {merge['undone_by']} at {merge['undone_at']}" if merge["undone_at"] else ""
        out.print(
            f"{merge['id']}  {merge['merged_at']}  {merge['other']} into {merge['survivor']}: {names}{undone}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


@contact.command("unmerge")
def contact_unmerge(
    merge_id: Annotated[str, typer.Argument(metavar="MERGE_ID", help="As `tandem contact merges` lists it.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Take a merge back: the merged contact is one of its own again, for good.

    In production --url is that of ingest.

    Example: tandem contact unmerge 0b6a… --key marketing_…
    """
    merge = call(lambda: _client(url, key).undo_merge(_uuid(merge_id)))
    out.print(f"{merge['other']} is a contact of its own again, apart from {merge['survivor']}", soft_wrap=True)


def _uuid(text: str) -> str:
    from uuid import UUID

    try:
        return str(UUID(text))
    except ValueError:
        raise fail(f"{text!r} is not an id.") from None


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)

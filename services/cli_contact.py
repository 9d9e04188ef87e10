"""The subcommands about single contacts: `tandem contact`."""

import sys
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, fail, out

if TYPE_CHECKING:
    from services.client import TandemClient

contact = typer.Typer(help="Single contacts: scores, merges, consent, export, erasure.", no_args_is_help=True)

_MARGIN = 6  # characters left of a chart
_WIDEST = 120  # characters, one point each

IngestUrl = Annotated[str, typer.Option(envvar="TANDEM_INGEST_URL", help="Where ingest listens, if not there.")]
RouterUrl = Annotated[str, typer.Option(envvar="TANDEM_ROUTER_URL", help="Where the router listens, if not there.")]
Who = Annotated[str, typer.Argument(metavar="ID|EMAIL", help="The contact's id, or its address.")]
AsOf = Annotated[str, typer.Option(help="Instant to score at, such as 2026-03-01T12:00:00Z; now when absent.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="Version of the agreement to score under; the one in force when absent.")
]
Id = Annotated[UUID, typer.Argument(metavar="ID", help="The contact's id.")]


@contact.command("show")
def contact_show(
    who: Who,
    as_of: AsOf = "",
    version: Version = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Show how a contact stands and why: scores with their parts, what is missing, how it cools, what comes next.

    Example: tandem contact show ada@acme.example --as-of 2026-03-01T12:00:00Z --key marketing_…
    """
    from services.contact_screen import render_contact

    query = _query(as_of=as_of, version=version)
    out.print(render_contact(call(lambda: _read(_client(url, key), who, **query))))


@contact.command("history")
def contact_history(
    who: Who,
    days: Annotated[int, typer.Option(min=1, max=36500, help="How far to look back.")] = 90,
    version: Version = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Draw how a contact's engagement went, and what was decided about it.

    Example: tandem contact history ada@acme.example --days 30 --key marketing_…
    """
    from services.contact_screen import render_history

    until = datetime.now(UTC)
    step = timedelta(days=days) / max(1, min(out.width - _MARGIN, _WIDEST) - 1)
    query = _query(
        since=(until - timedelta(days=days)).isoformat(),
        until=until.isoformat(),
        step=f"{max(1, ceil(step.total_seconds()))}s",
        version=version,
    )

    async def read() -> Any:
        client = _client(url, key)
        found = await _read(client, who)
        return await client.get(f"/v1/contacts/{found['id']}/history", **query)

    out.print(render_history(call(read)))


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


@contact.command("opt-out")
def contact_opt_out(contact_id: Id, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Leave the contact alone: stop scoring, withdraw what is not delivered.

    Example: tandem contact opt-out 7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5 --key marketing_…
    """
    _say(contact_id, url, key, word="opt_out")


@contact.command("opt-in")
def contact_opt_in(contact_id: Id, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Score the contact again, on its own wish.

    Example: tandem contact opt-in 7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5 --key marketing_…
    """
    _say(contact_id, url, key, word="opt_in")


@contact.command("export")
def contact_export(
    contact_id: Id,
    file: Annotated[Path | None, typer.Option(help="Where to write; standard output when absent.")] = None,
    url: Url = DEFAULT_URL,
    ingest_url: IngestUrl = "",
    router_url: RouterUrl = "",
    key: Key = "",
) -> None:
    """Write everything that the three services hold about the contact as one JSON document.

    Where each service has a URL of its own, --url is the scorer's.

    Example: tandem contact export 7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5 --file ada.json --key marketing_…
    """
    from services.exporting import write_export

    scorer = _client(url, key)
    ingest = _client(ingest_url or url, key)
    router = _client(router_url or url, key)
    if file is None:
        call(lambda: write_export(contact_id, sys.stdout.buffer, ingest=ingest, scorer=scorer, router=router))
        return
    partial = file.with_name(f"{file.name}.part")
    try:
        with partial.open("wb") as target:
            call(lambda: write_export(contact_id, target, ingest=ingest, scorer=scorer, router=router))
        partial.replace(file)
    except OSError as error:
        raise fail(f"Cannot write {file}: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)


@contact.command("erase")
def contact_erase(
    contact_id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Erase the contact in all services, for good; whoever had the lead is told.

    Example: tandem contact erase 7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5 --key admin_…
    """
    if not yes:
        typer.confirm(f"Erase contact {contact_id} and all it did? This cannot be undone.", abort=True)
    erased = call(lambda: _client(url, key).erase_contact(contact_id))
    ids = ", ".join(erased["contact_ids"])
    out.print(f"Erased {ids}: {erased['touches']} touches are gone.", soft_wrap=True, highlight=False)
    out.print(f"Within a minute, as erasure {erased['erasure']}:", soft_wrap=True, highlight=False)
    for step in erased["next"]:
        out.print(f"  {step}", soft_wrap=True, highlight=False)


@contact.command("readmit")
def contact_readmit(
    names: Annotated[list[str], typer.Argument(metavar="EMAIL|USER_ID...", help="What the person was known as.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Let somebody who was erased be a contact again, from now on, and only on the person's own wish.

    In production --url is that of ingest.

    Example: tandem contact readmit ada@acme.example --key marketing_…
    """
    if not yes:
        typer.confirm(f"Did {' and '.join(names)}, who was erased, ask to be a contact again?", abort=True)
    done = call(lambda: _client(url, key).readmit(names))
    out.print(
        f"{names[0]} is the new contact {done['contact_id']}; {done['names']} names are not refused any more.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    out.print("What was erased stays so. Later events count.")


async def _read(client: "TandemClient", who: str, **query: Any) -> Any:
    """Return the contact of an id or an address. Ends the command when there is not exactly one."""
    if "@" not in who:
        return await client.get(f"/v1/contacts/{_uuid(who)}", **query)
    found = (await client.get("/v1/contacts", email=who))["contacts"]
    if len(found) != 1:
        ids = ", ".join(contact["id"] for contact in found)
        raise fail(f"{who} names {len(found)} contacts: {ids}. Ask for one of them." if ids else f"Nobody has {who}.")
    return await client.get(f"/v1/contacts/{found[0]['id']}", **query)


def _query(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in {"", None}}


def _say(contact_id: UUID, url: str, key: str, *, word: str) -> None:
    said = call(lambda: _client(url, key).say_for_contact(contact_id, word))
    state = "is left alone" if said["opted_out"] else "is scored"
    out.print(f"Contact {contact_id} {state}, as {said['said_by']} said.", soft_wrap=True, highlight=False)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise fail(f"{text!r} is not an id.") from None


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)

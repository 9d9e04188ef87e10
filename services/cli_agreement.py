"""`tandem agreement`: check, propose, sign and show definitions of a lead."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, out, printable, problems

if TYPE_CHECKING:
    from shared.agreement.model import Agreement
    from shared.agreement.reading import Mistake

agreement = typer.Typer(help="The definition of a lead that marketing and sales both sign.", no_args_is_help=True)


@agreement.command("check")
def agreement_check(file: Path) -> None:
    """Say whether the file is a valid agreement; name line, key and what was expected for each mistake.

    Example: tandem agreement check examples/agreement.yaml
    """
    from shared.agreement.hashing import content_hash
    from shared.agreement.parse import parse_draft

    parsed = _sound(parse_draft(read_text(file)), where=str(file))
    digest = content_hash(parsed)[:12]
    out.print(f"{file} is valid: {parsed.title!r}, {len(parsed.rules)} rules, hash {digest}", soft_wrap=True)


@agreement.command("propose")
def agreement_propose(file: Path, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Make the file a draft that marketing and sales can sign.

    Example: tandem agreement propose examples/agreement.yaml --key marketing_…
    """
    text = read_text(file)
    draft = call(lambda: client(url, key).propose(text))
    out.print(f"Agreement {draft['version']} is a {draft['status']}, hash {draft['hash']}", soft_wrap=True)


@agreement.command("sign")
def agreement_sign(version: int, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Sign a draft for the side that the key belongs to; the second signature makes it active.

    If touches count otherwise under it, they are counted first: `tandem agreement show` tells how far that is.

    Example: tandem agreement sign 3 --key sales_…
    """
    signed = call(lambda: client(url, key).sign(version))
    signatures = ", ".join(f"{item['side']} ({item['signed_by']})" for item in signed["signatures"])
    missing = {"marketing", "sales"} - {item["side"] for item in signed["signatures"]}
    waits = f"; waits for {missing.pop()}" if missing else ""
    out.print(f"Agreement {signed['version']} is {signed['status']}; signed by {signatures}{waits}", soft_wrap=True)


@agreement.command("show")
def agreement_show(version: Annotated[str, typer.Argument()] = "active", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Print an agreement as it was proposed, with its signatures.

    Example: tandem agreement show 3
    """
    shown = call(lambda: client(url, key).agreement(version))
    out.print(f"# version {shown['version']}, {shown['status']}, hash {shown['hash']}", soft_wrap=True, highlight=False)
    for item in shown["signatures"]:
        key_of = f", key {item['key']}" if item["key"] else ""
        out.print(
            f"# signed for {item['side']} by {item['signed_by']} at {item['signed_at']}{key_of}",
            soft_wrap=True,
            highlight=False,
        )
    if shown["status"] == "activating":
        counted = f"{shown['replay']['progress']:.0%}, {shown['replay']['contacts']} contacts"
        out.print(
            f"# version {shown['replay']['replaces']} stays in force until all is counted: {counted} so far",
            soft_wrap=True,
            highlight=False,
        )
    out.print(shown["text"], end="", soft_wrap=True, highlight=False, markup=False)


@agreement.command("log")
def agreement_log(
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many of the newest entries.")] = 50,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Print who proposed and signed which version, and when each came into force; the newest first.

    Example: tandem agreement log --limit 20
    """
    from rich.table import Table

    entries = call(lambda: client(url, key).get("/v1/agreements/log", limit=limit))["log"]
    table = Table("version", "at", "step", "by", "key", "hash", "title", box=None, pad_edge=False)
    for entry in entries:
        step = f"{entry['step']} for {entry['side']}" if entry["side"] else entry["step"]
        shown = (
            str(entry["version"]),
            entry["at"],
            step,
            entry["by"],
            entry["key"],
            entry["hash"][:12],
            entry["title"],
        )
        table.add_row(*(printable(value or "", lines=False) for value in shown))
    out.print(table, markup=False)


@agreement.command("diff")
def agreement_diff(
    before: Annotated[str, typer.Argument(help="A version, `active`, or a file.")],
    after: Annotated[str, typer.Argument(help="A version, `active`, or a file.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Say in words what is different in the second agreement.

    Example: tandem agreement diff 3 4, or tandem agreement diff active examples/agreement.yaml
    """
    from shared.agreement.comparing import compare

    comparison = compare(_read(before, url=url, key=key), _read(after, url=url, key=key))
    for change in comparison.changes:
        out.print(printable(change.words, lines=False), soft_wrap=True, highlight=False, markup=False)
    if not comparison.changes:
        out.print("No difference: both have the same hash.")
    elif comparison.counts_again:
        out.print("Touches are counted again before it is in force.")


@agreement.command("schema")
def agreement_schema() -> None:
    """Print the JSON Schema of the agreement file, for editors.

    Example: tandem agreement schema > agreement.schema.json
    """
    import json

    from shared.agreement.schema import agreement_schema as schema_of_the_file

    typer.echo(json.dumps(schema_of_the_file(), indent=2))


def _read(name: str, *, url: str, key: str) -> "Agreement":
    """Return the agreement of a version, or of a file. Whatever looks like a version is one."""
    from shared.agreement.parse import parse_agreement

    if not (name == "active" or name.isdecimal()):
        return _sound(parse_agreement(read_text(Path(name))), where=name)
    shown = call(lambda: client(url, key).agreement(name))
    return _sound(parse_agreement(shown["text"]), where=f"agreement {name}")


def _sound(parsed: "Agreement | tuple[Mistake, ...]", *, where: str) -> "Agreement":
    """Return the agreement, or end the command with all of its mistakes, a line for each."""
    if not isinstance(parsed, tuple):
        return parsed
    for mistake in parsed:
        told = f"{where}:{mistake.line}:{mistake.column}: {mistake.key}: {mistake.message}"
        problems.print(printable(told), soft_wrap=True, highlight=False, markup=False)
    raise typer.Exit(1)

"""`tandem agreement`: check, propose, sign and show definitions of a lead."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, out, problems

agreement = typer.Typer(help="The definition of a lead that marketing and sales both sign.", no_args_is_help=True)


@agreement.command("check")
def agreement_check(file: Path) -> None:
    """Say whether the file is a valid agreement; name line, key and what was expected for each mistake.

    Example: tandem agreement check examples/agreement.yaml
    """
    from shared.agreement.hashing import content_hash
    from shared.agreement.model import Agreement
    from shared.agreement.parse import parse_agreement

    parsed = parse_agreement(read_text(file))
    if not isinstance(parsed, Agreement):
        for mistake in parsed:
            where = f"{file}:{mistake.line}:{mistake.column}"
            problems.print(f"{where}: {mistake.key}: {mistake.message}", soft_wrap=True, highlight=False, markup=False)
        raise typer.Exit(1)
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
    out.print(f"Agreement {signed['version']} is {signed['status']}; signed by {signatures}", soft_wrap=True)


@agreement.command("show")
def agreement_show(version: Annotated[str, typer.Argument()] = "active", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Print an agreement as it was proposed, with its signatures.

    Example: tandem agreement show 3
    """
    shown = call(lambda: client(url, key).agreement(version))
    out.print(f"# version {shown['version']}, {shown['status']}, hash {shown['hash']}", soft_wrap=True, highlight=False)
    for item in shown["signatures"]:
        out.print(
            f"# signed for {item['side']} by {item['signed_by']} at {item['signed_at']}",
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

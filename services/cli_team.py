"""`tandem team`: who can be given handoffs, and where they are sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, fail, out, printable, problems

team = typer.Typer(help="Who can be given handoffs, and where they are sent.", no_args_is_help=True)


@team.command("check")
def team_check(
    file: Path,
    allow: Annotated[
        str,
        typer.Option(envvar="TANDEM_DELIVERY_ALLOWED_NETWORKS", help="Networks of your own that webhooks may go to."),
    ] = "",
) -> None:
    """Say whether the file is a valid team; name line, key and what was expected for each mistake. Needs no server.

    Example: tandem team check examples/team.yaml --allow 127.0.0.0/8
    """
    from services.router.domain.addresses import parse_network
    from services.router.domain.team_reading import read_team
    from services.router.errors import TeamInvalid

    try:
        networks = [parse_network(item.strip()) for item in allow.split(",") if item.strip()]
    except ValueError as error:
        raise fail(f"--allow: {error}") from None
    try:
        read = read_team(read_text(file), allowed=networks)
    except TeamInvalid as error:
        for mistake in error.mistakes:
            where = f"{file}:{mistake.line}:{mistake.column}"
            problems.print(f"{where}: {mistake.key}: {mistake.message}", soft_wrap=True, highlight=False, markup=False)
        raise typer.Exit(1) from None
    out.print(
        f"{file} is valid: {len(read.reps)} reps, {len(read.pools)} pools, {len(read.rules)} rules", soft_wrap=True
    )


@team.command("diff")
def team_diff(file: Path, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Say what would change if the team were set to the file.

    Example: tandem team diff examples/team.yaml --key sales_…
    """
    text = read_text(file)
    answer = call(lambda: client(url, key).ask_team("diff", text))
    print_changes(answer["changes"])


@team.command("apply")
def team_apply(file: Path, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Make reps, pools and endpoints what the file says. Prints each new endpoint's secret once.

    Example: tandem team apply examples/team.yaml --key admin_…
    """
    text = read_text(file)
    applied = call(lambda: client(url, key).apply_team(text))
    print_changes(applied["changes"])
    out.print(f"{len(applied['reps'])} reps, {len(applied['pools'])} pools, {len(applied['endpoints'])} endpoints")
    for endpoint in applied["endpoints"]:
        if secret := endpoint.get("secret"):
            out.print(f"secret of {endpoint['name']}, shown once: {secret}", soft_wrap=True, highlight=False)


def print_changes(changes: Sequence[str]) -> None:
    """Print what changes, a line each."""
    for change in changes or ["Nothing changes."]:
        out.print(printable(change), soft_wrap=True, highlight=False, markup=False)

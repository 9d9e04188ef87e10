"""`tandem team`: who can be given handoffs, and where they are sent."""

from pathlib import Path

import typer

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, out

team = typer.Typer(help="Who can be given handoffs, and where they are sent.", no_args_is_help=True)


@team.command("apply")
def team_apply(file: Path, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Make reps, pools and endpoints what the file says. Prints each new endpoint's secret once.

    Example: tandem team apply examples/team.yaml --key admin_…
    """
    text = read_text(file)
    applied = call(lambda: client(url, key).apply_team(text))
    out.print(f"{len(applied['reps'])} reps, {len(applied['pools'])} pools, {len(applied['endpoints'])} endpoints")
    for endpoint in applied["endpoints"]:
        if secret := endpoint.get("secret"):
            out.print(f"secret of {endpoint['name']}, shown once: {secret}", soft_wrap=True, highlight=False)

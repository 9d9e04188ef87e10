"""The subcommands that talk to a running Tandem: `send`, `agreement`, `team`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.terminal import call, fail, out, problems

if TYPE_CHECKING:
    from services.client import TandemClient

agreement = typer.Typer(help="The definition of a lead that marketing and sales both sign.", no_args_is_help=True)
team = typer.Typer(help="Who can be given handoffs, and where they are sent.", no_args_is_help=True)

# Read here; not settings of a service.
CLIENT_VARIABLES = ("TANDEM_URL", "TANDEM_INGEST_URL", "TANDEM_ROUTER_URL", "TANDEM_KEY", "TANDEM_WEBHOOK_SECRET")
DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option(envvar="TANDEM_URL", help="Where Tandem listens.")]
Key = Annotated[str, typer.Option(envvar="TANDEM_KEY", help="Key to authorise with.")]


def send(
    file: Annotated[Path, typer.Argument(help="JSON lines, one Segment event each; - reads standard input.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    shift_to_now: Annotated[bool, typer.Option(help="Move all timestamps so that the newest is now.")] = False,
) -> None:
    """Send events from a file, in batches, with a progress bar.

    A line may carry its own `writeKey`; the others are sent with --key. Exit code 1 when a line was refused.

    Example: tandem send examples/events.jsonl --key wk_…
    """
    from services.sending import read_lines, send_with_progress

    try:
        lines = read_lines(sys.stdin.buffer if str(file) == "-" else file, shift_to_now=shift_to_now)
    except OSError as error:
        raise fail(f"Cannot read {file}: {error.strerror}.") from None
    summary = call(lambda: send_with_progress(lines, url=url, key=key, console=problems))
    out.print(f"{summary.accepted} events accepted, {summary.refused} lines refused")
    for reason in summary.reasons:
        problems.print(f"refused: {reason}")
    if summary.refused:
        raise typer.Exit(1)


def receive(
    secret: Annotated[str, typer.Option(envvar="TANDEM_WEBHOOK_SECRET", help="The endpoint's secret, whsec_….")],
    port: Annotated[int, typer.Option(help="Port of the loopback to listen on.")] = 9099,
) -> None:
    """Take webhooks, verify their signature, and print each lead's brief: a CRM to try things with.

    Example: tandem receive --secret whsec_…
    """
    import asyncio
    import signal

    from services.receiver import Receipt, open_receiver

    def show(receipt: Receipt) -> None:
        out.rule(receipt.webhook_id)
        data = receipt.payload["data"]
        if receipt.payload["type"] == "contact.erased":
            text = f"Forget contact {data['contact']['id']}, handed over as {', '.join(data['handoffs'])}."
        else:
            text = data["brief"]["text"]
        out.print(text, highlight=False, markup=False)

    async def serve() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with open_receiver(port) as receiver:
            receiver.secret, receiver.on_receipt = secret, show
            problems.print(f"Waiting for webhooks at {receiver.url}. Ctrl-C ends.", soft_wrap=True)
            await stopping.wait()

    call(serve)


@agreement.command("check")
def agreement_check(file: Path) -> None:
    """Say whether the file is a valid agreement; name line, key and what was expected for each mistake.

    Example: tandem agreement check examples/agreement.yaml
    """
    from shared.agreement.hashing import content_hash
    from shared.agreement.model import Agreement
    from shared.agreement.parse import parse_agreement

    parsed = parse_agreement(_read(file))
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
    text = _read(file)
    draft = call(lambda: _client(url, key).propose(text))
    out.print(f"Agreement {draft['version']} is a {draft['status']}, hash {draft['hash']}", soft_wrap=True)


@agreement.command("sign")
def agreement_sign(version: int, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Sign a draft for the side that the key belongs to; the second signature makes it active.

    Example: tandem agreement sign 3 --key sales_…
    """
    signed = call(lambda: _client(url, key).sign(version))
    signatures = ", ".join(f"{item['side']} ({item['signed_by']})" for item in signed["signatures"])
    out.print(f"Agreement {signed['version']} is {signed['status']}; signed by {signatures}", soft_wrap=True)


@agreement.command("show")
def agreement_show(version: Annotated[str, typer.Argument()] = "active", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Print an agreement as it was proposed, with its signatures.

    Example: tandem agreement show 3
    """
    shown = call(lambda: _client(url, key).agreement(version))
    out.print(f"# version {shown['version']}, {shown['status']}, hash {shown['hash']}", soft_wrap=True, highlight=False)
    for item in shown["signatures"]:
        out.print(
            f"# signed for {item['side']} by {item['signed_by']} at {item['signed_at']}",
            soft_wrap=True,
            highlight=False,
        )
    out.print(shown["text"], end="", soft_wrap=True, highlight=False, markup=False)


@team.command("apply")
def team_apply(file: Path, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Make reps, pools and endpoints what the file says. Prints each new endpoint's secret once.

    Example: tandem team apply examples/team.yaml --key admin_…
    """
    text = _read(file)
    applied = call(lambda: _client(url, key).apply_team(text))
    out.print(f"{len(applied['reps'])} reps, {len(applied['pools'])} pools, {len(applied['endpoints'])} endpoints")
    for endpoint in applied["endpoints"]:
        if secret := endpoint.get("secret"):
            out.print(f"secret of {endpoint['name']}, shown once: {secret}", soft_wrap=True, highlight=False)


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"Cannot read {file}: {error}.") from None

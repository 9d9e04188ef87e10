"""The subcommands that talk to a running Tandem, and what all of them share."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.terminal import call, fail, out, problems

if TYPE_CHECKING:
    from services.client import TandemClient

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
        elif receipt.payload["type"] == "handoff.expired":
            now = f"{data['rep']['name']} has it now" if data["rep"] else "it waits in the queue"
            text = f"Handoff {data['handoff']['id']} is {data['previous_rep']['name']}'s no more: {now}."
        elif "brief" in data:
            text = data["brief"]["text"]
        else:
            text = f"{receipt.payload['type']}: {json.dumps(data)}"
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


def client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)


def read_text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"Cannot read {file}: {error}.") from None

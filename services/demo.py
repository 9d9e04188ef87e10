"""`tandem demo`: a month of events becomes leads, in front of one's eyes and through the same doors that users take."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live

import services
from services.client import TandemClient
from services.demo_screen import Progress, render_lead, render_progress
from services.receiver import WebhookReceiver, open_receiver
from services.sending import Summary, batches, read_lines, send_batch
from services.standalone import run_standalone
from shared.http.keys import Role, read_keys
from shared.postgres.embedded import EmbeddedPostgres

EXAMPLES = Path(services.__file__).resolve().parents[1] / "examples"
PATIENCE = timedelta(seconds=30)  # after the last event, for the leads to arrive


async def run_demo(*, pace_seconds: float, console: Console) -> bool:
    """Run the whole of it in a temporary directory; return whether just the expected leads arrived, verified."""
    told = yaml.safe_load((EXAMPLES / "expected-leads.yaml").read_text())
    expected = Counter((lead["email"], lead["reason"]) for lead in told)
    keys = {entry.role: entry.key for entry in read_keys(EXAMPLES / "keys.yaml")}
    console.print("Starting PostgreSQL, ingest, scorer and router ...")
    with tempfile.TemporaryDirectory(prefix="tandem-demo-") as directory:
        Path(directory).chmod(0o711)  # for PostgreSQL's own account, when root runs the demo
        async with (
            open_receiver() as receiver,
            _running(Path(directory)) as url,
            TandemClient(url, keys[Role.ADMIN]) as admin,
        ):
            await _prepare(url, keys, receiver, console=console)
            progress = Progress(expected=len(expected))
            with Live(render_progress(progress), console=console, refresh_per_second=8) as live:
                sending = asyncio.create_task(_send(url, pace_seconds=pace_seconds, progress=progress))
                deadline = None
                while True:
                    await _observe(admin, receiver, progress)
                    live.update(render_progress(progress))
                    if sending.done() and deadline is None:
                        sending.result()
                        deadline = monotonic() + PATIENCE.total_seconds()
                    if deadline and (_arrived(receiver) >= expected or monotonic() > deadline):
                        break
                    await asyncio.sleep(0.15)
                await _settle(admin, receiver, progress)
                live.update(render_progress(progress))
            if not console.is_terminal:
                console.print()  # rich ends a live display's last line on terminals only
            arrived = _arrived(receiver)
            if arrived:
                await _show_one(admin, receiver, console=console)
    if arrived != expected or receiver.refused:
        for email, reason in sorted(expected - arrived):
            console.print(f"missing: {email} ({reason})")
        for email, reason in sorted(arrived - expected):
            console.print(f"not expected: {email} ({reason})")
        return False
    console.print(f"All {len(expected)} expected leads were delivered, each signed and verified, and no other.")
    return True


@asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[str]:
    """Run Tandem on an embedded PostgreSQL; yield its URL; drain it at the end."""
    stopping = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with EmbeddedPostgres(directory / "postgres") as postgres:
        running = asyncio.create_task(
            run_standalone(
                postgres.url,
                port=0,
                keys_file=EXAMPLES / "keys.yaml",
                on_ready=ready.set_result,
                stopping=stopping,
                kafka_bootstrap=None,
                delivery_allowed_networks=("127.0.0.0/8",),
            )
        )
        try:
            waited: set[asyncio.Future[Any]] = {running, ready}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            yield ready.result() if ready.done() else await _failed(running)
        finally:
            stopping.set()
            await running


async def _failed(running: asyncio.Task[None]) -> str:
    await running
    raise RuntimeError("Tandem ended before it was ready.")


async def _prepare(url: str, keys: dict[Role, str], receiver: WebhookReceiver, *, console: Console) -> None:
    """Sign the agreement for both sides, and set up the team with the receiver as its CRM."""
    marketing, sales = TandemClient(url, keys[Role.MARKETING]), TandemClient(url, keys[Role.SALES])
    draft = await marketing.propose((EXAMPLES / "agreement.yaml").read_text())
    await marketing.sign(draft["version"])
    signed = await sales.sign(draft["version"])
    names = " and ".join(item["signed_by"] for item in signed["signatures"])
    console.print(f"Agreement {signed['version']} is {signed['status']}, signed by {names}.")
    team = yaml.safe_load((EXAMPLES / "team.yaml").read_text())
    for endpoint in team["endpoints"]:
        endpoint["url"] = receiver.url
    applied = await TandemClient(url, keys[Role.ADMIN]).apply_team(yaml.safe_dump(team, sort_keys=False))
    receiver.secret = applied["endpoints"][0]["secret"]
    console.print(f"{len(applied['reps'])} reps in {len(applied['pools'])} pools; webhooks go to {receiver.url}.")


async def _send(url: str, *, pace_seconds: float, progress: Progress) -> None:
    """Send the month through the HTTP API, spread over the pace."""
    lines = read_lines(EXAMPLES / "events.jsonl", shift_to_now=True)
    groups = list(batches(lines))
    summary = Summary()
    progress.lines = len(lines)
    async with TandemClient(url) as client:
        for number, batch in enumerate(groups, 1):
            await send_batch(client, batch, key="", summary=summary)
            progress.accepted, progress.refused = summary.accepted, summary.refused
            await asyncio.sleep(pace_seconds / len(groups) if number < len(groups) else 0)


async def _observe(admin: TandemClient, receiver: WebhookReceiver, progress: Progress) -> None:
    """Ask the running Tandem how far it is."""
    contacts = await admin.get("/v1/contacts", limit=200)
    handoffs = await admin.get("/v1/handoffs", limit=100)
    progress.contacts = len(contacts["contacts"])
    progress.touches = sum(contact["touches"] for contact in contacts["contacts"])
    progress.handoffs = handoffs["handoffs"]
    progress.receipts = [receipt.payload for receipt in receiver.receipts]


async def _settle(admin: TandemClient, receiver: WebhookReceiver, progress: Progress) -> None:
    """Wait until nothing changes any more, so that a lead too many would be seen."""
    calm_since, seen = monotonic(), (-1, -1, -1)
    deadline = monotonic() + PATIENCE.total_seconds()
    while monotonic() - calm_since < 1.5 and monotonic() < deadline:
        await _observe(admin, receiver, progress)
        now = (progress.touches, len(progress.handoffs), len(progress.receipts))
        if now != seen:
            calm_since, seen = monotonic(), now
        await asyncio.sleep(0.2)


def _arrived(receiver: WebhookReceiver) -> Counter[tuple[str, str]]:
    """Count the handoffs that arrived; one that was delivered again is still one."""
    leads = {
        data["handoff"]["id"]: (data["contact"]["email"], data["handoff"]["reason"])
        for data in (receipt.payload["data"] for receipt in receiver.receipts)
    }
    return Counter(leads.values())


async def _show_one(admin: TandemClient, receiver: WebhookReceiver, *, console: Console) -> None:
    """Show one lead in full: the brief as the rep gets it and the score as it explains itself."""
    receipt = max(receiver.receipts, key=lambda receipt: _tells_most(receipt.payload["data"]))
    contact = await admin.get(f"/v1/contacts/{receipt.payload['data']['contact']['id']}")
    with suppress(BrokenPipeError):
        console.print(render_lead(receipt, contact))


def _tells_most(data: dict[str, Any]) -> tuple[bool, bool]:
    """Prefer a lead that crossed the threshold, and among those one that wrote something."""
    return data["handoff"]["reason"] == "threshold", bool(data["brief"]["words"])

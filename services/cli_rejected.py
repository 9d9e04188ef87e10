"""`tandem rejected`: what was set aside, looked through and replayed.

What was rejected may hold anything, also what would take a terminal over: nothing of it is printed as it is.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from services.cli_client import DEFAULT_URL, Key, Url
from services.terminal import call, fail, out, printable, problems
from shared.durations import parse_duration

if TYPE_CHECKING:
    from services.client import TandemClient

rejected = typer.Typer(help="What was set aside with its reason, and having it read again.", no_args_is_help=True)

_POLL_SECONDS = 0.2
_PAGE = 200
_SHOWN_BYTES = 16_000

Reason = Annotated[list[str] | None, typer.Option(help="Only those with this reason; may be given several times.")]
SourceName = Annotated[str | None, typer.Option(help="Only those of this source.")]
Topic = Annotated[str | None, typer.Option(help="Only those of this topic.")]
Since = Annotated[str | None, typer.Option(help="First rejected since: 2026-03-01T10:00:00Z, or 2h for two hours ago.")]
Until = Annotated[str | None, typer.Option(help="First rejected before, likewise.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@rejected.command("list")
def rejected_list(
    reason: Reason = None,
    source: SourceName = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to list.")] = 50,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List what was rejected and waits, newest first.

    Example: tandem rejected list --reason no_identifier --since 2h
    """
    query = _filters(reason, source, topic, since, until) | ({} if everything else {"waiting": True})
    rows, more = call(lambda: _rows(_client(url, key), query, limit))
    if as_json:
        _print_json(rows)
        return
    for line in (line for row in rows for line in outline(row)):
        out.print(Text(printable(line, lines=False)), soft_wrap=True)
    if more:
        problems.print(f"There are more than these {limit}: use the filters, or --limit.")


def outline(row: dict[str, Any]) -> tuple[str, str]:
    """Return a rejection in two lines: a table of these is wider than any screen."""
    seen = f"seen {row['seen']}" if row["waiting"] else f"seen {row['seen']}, replayed"
    facts = (row["id"], _instant(row["first_seen"]), row["source"] or "-", row["reason"], _place(row), seen)
    return "  ".join(map(str, facts)), f"    {row['message']}"


@rejected.command("show")
def rejected_show(
    identity: Annotated[str, typer.Argument(metavar="ID")],
    as_hex: Annotated[bool, typer.Option("--hex", help="Show the bytes in hexadecimal.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Print why something was rejected, the headers that it came with, and what it was.

    Example: tandem rejected show 0d5b9e0a-6c1e-5f0c-8f39-1d2f0a4f8f11
    """
    found = call(lambda: _client(url, key).get(f"/v1/rejected/{_identity(identity)}"))
    if as_json:
        _print_json(found)
        return
    facts = {
        "reason": found["reason"],
        "message": found["message"],
        "source": found["source"] or "-",
        "place": _place(found),
        "received": _instant(found["received_at"]),
        "first rejected": _instant(found["first_seen"]),
        "last rejected": f"{_instant(found['last_seen'])}, {found['seen']} times in all",
        "replayed": (
            f"{_instant(found['replayed_at'])} by {found['replayed_by']}, {found['replays']} times in all"
            if found["replays"] and found["replayed_at"]
            else "never"
        ),
        "can be replayed": "yes" if found["replayable"] else "no: not kept whole, or of a topic that nobody reads",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        _print(f"{name:<{width}}  {printable(str(value), lines=False)}")
    _print("\nheaders")
    for name, value in found["headers"].items():
        _print(f"  {printable(name, lines=False)}: {printable(value, lines=False)}")
    _print(f"\noriginal, {found['bytes']} bytes")
    _print(_original(found["original"], as_hex=as_hex))


@rejected.command("replay")
def rejected_replay(
    identities: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    reason: Reason = None,
    source: SourceName = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Have rejections read again, once what rejected them is mended; each counts once however often it is replayed.

    The work is Tandem's: it goes on when this command is ended.

    Example: tandem rejected replay --reason unprocessable --since 2h --key admin_…
    """
    wanted = _filters(reason, source, topic, since, until)
    if identities:
        wanted["ids"] = [_identity(identity) for identity in identities]
    if everything:
        wanted["all"] = True
    if not wanted:
        raise fail("Say which rejections to replay: by their ids, by a filter such as --reason, or --all.")
    if dry_run:
        total = call(lambda: _client(url, key).replay_rejected({**wanted, "dry_run": True}))["total"]
        if as_json:
            _print_json({"dry_run": True, "total": total})
        else:
            out.print(f"{total} rejections would be replayed")
        return
    done = call(lambda: _replayed(_client(url, key), wanted))
    if as_json:
        _print_json(done)
    else:
        skipped = f", {done['skipped']} cannot be replayed" if done["skipped"] else ""
        out.print(f"{done['replayed']} rejections replayed{skipped}")


async def _rows(client: "TandemClient", query: Mapping[str, Any], limit: int) -> tuple[list[Any], bool]:
    rows: list[Any] = []
    more: dict[str, str] = {}
    async with client:
        while True:
            page = await client.get("/v1/rejected", **query, **more, limit=min(_PAGE, limit - len(rows)))
            rows += page["rejected"]
            if page["next"] is None or len(rows) >= limit:
                return rows, page["next"] is not None
            more = {"cursor": page["next"]}


async def _replayed(client: "TandemClient", wanted: Mapping[str, Any]) -> Any:
    """Ask for the replay and show how far it is until it is done."""
    columns = TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with client:
        state = await client.replay_rejected(wanted)
        with Progress(*columns, console=problems, transient=True) as progress:
            task = progress.add_task("", total=state["total"])
            while state["finished_at"] is None:
                await asyncio.sleep(_POLL_SECONDS)
                state = await client.get(f"/v1/rejected/replays/{state['id']}")
                progress.update(task, completed=state["replayed"] + state["skipped"])
    return state


def _filters(
    reason: list[str] | None, source: str | None, topic: str | None, since: str | None, until: str | None
) -> dict[str, Any]:
    given = {
        "reason": reason or None,
        "source": source,
        "topic": topic,
        "since": _moment(since),
        "until": _moment(until),
    }
    return {name: value for name, value in given.items() if value is not None}


def _moment(text: str | None) -> str | None:
    """Return the instant that the text names: itself, or a time ago. Ends the command when it names none."""
    if text is None:
        return None
    try:
        return (datetime.now(UTC) - parse_duration(text)).isoformat()
    except (ValueError, OverflowError):
        pass
    try:
        instant = datetime.fromisoformat(text)
        return (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant).isoformat()
    except ValueError:
        raise fail(f"{text!r} is neither an instant such as 2026-03-01T10:00:00Z nor a time such as 2h.") from None


def _identity(text: str) -> str:
    from uuid import UUID

    try:
        return str(UUID(text))
    except ValueError:
        raise fail(f"{text!r} is not the id of a rejection.") from None


def _original(original: Mapping[str, Any], *, as_hex: bool) -> str:
    from base64 import b64decode

    raw = b64decode(original["base64"])
    text = original["text"]
    if as_hex or text is None:
        return _hexadecimal(raw)
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    left = len(text) - _SHOWN_BYTES
    return printable(text[:_SHOWN_BYTES]) + (f"\n… {left} characters more: --json has all" if left > 0 else "")


def _hexadecimal(raw: bytes) -> str:
    lines = []
    for start in range(0, min(len(raw), _SHOWN_BYTES), 16):
        part = raw[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {text}")
    if len(raw) > _SHOWN_BYTES:
        lines.append(f"… {len(raw) - _SHOWN_BYTES} bytes more: --json has all")
    return "\n".join(lines)


def _place(row: Mapping[str, Any]) -> str:
    item = "" if row["item"] is None else f" item {row['item']}"
    return f"{row['topic']}/{row['partition']}@{row['offset']}{item}"


def _instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _print(text: str) -> None:
    out.print(text, soft_wrap=True, highlight=False, markup=False, emoji=False)


def _print_json(value: Any) -> None:
    _print(json.dumps(value, indent=2))  # ASCII only: everything that a terminal could act on is escaped


def _client(url: str, key: str) -> "TandemClient":
    from services.client import TandemClient

    return TandemClient(url, key)

"""Sending events from a file: lines to batches, batches to `/v1/batch`, with retries that cannot double anything.

An event without a messageId gets one here, so that a batch sent twice is counted once.
"""

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.client import ClientError, TandemClient

BATCH_EVENTS = 100
BATCH_BYTES = 400_000
ATTEMPTS = 5
REFUSALS = frozenset({400, 401, 403, 413, 422})  # sending again would change nothing

_TIMES = ("timestamp", "originalTimestamp", "sentAt")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: an event with the key it brought, or bytes that are no JSON object."""

    number: int
    body: bytes
    write_key: str = ""
    is_event: bool = True


@dataclass(slots=True)
class Summary:
    """What became of the lines."""

    accepted: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)


def read_lines(source: Path | IO[bytes], *, shift_to_now: bool = False, now: datetime | None = None) -> list[Line]:
    """Read JSON lines; with `shift_to_now` move all timestamps by what makes the newest one now. Raises OSError."""
    raw = source.read_bytes() if isinstance(source, Path) else source.read()
    lines = [(number, line.strip()) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    parsed = [(number, line, _object(line)) for number, line in lines]
    shift = timedelta()
    if shift_to_now:
        times = [time for _, _, event in parsed if event for name in _TIMES if (time := _instant(event.get(name)))]
        past = [time for time in times if time.year < 2100]  # a line that lies about its time is not the newest
        shift = (now or datetime.now(UTC)) - max(past) if past else timedelta()
    return [
        Line(number, line, is_event=False) if event is None else _line(number, event, shift)
        for number, line, event in parsed
    ]


async def send_with_progress(lines: list[Line], *, url: str, key: str, console: Console) -> Summary:
    """Send the lines while a bar shows how far it is. Raises ClientError when Tandem cannot be reached."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    summary = Summary()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("events", total=len(lines))
        async with TandemClient(url) as client:
            for batch in batches(lines):
                await send_batch(client, batch, key=key, summary=summary)
                progress.advance(bar, len(batch))
    return summary


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Group consecutive lines of one key; a line that is no event stands alone, so that it spoils no neighbour."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        fits = (
            batch
            and line.is_event
            and batch[-1].is_event
            and batch[-1].write_key == line.write_key
            and len(batch) < BATCH_EVENTS
            and size + len(line.body) < BATCH_BYTES
        )
        if batch and not fits:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.body)
    if batch:
        yield batch


async def send_batch(client: TandemClient, batch: list[Line], *, key: str, summary: Summary) -> None:
    """Send one batch and add what became of it to the summary. Raises ClientError after five attempts."""
    body = b'{"batch":[' + b",".join(line.body for line in batch) + b"]}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await client.post_events("/v1/batch", body, key=batch[0].write_key or key)
        except ClientError as error:
            if error.status in REFUSALS:
                summary.refused += len(batch)
                where = f"line {batch[0].number}" if len(batch) == 1 else f"lines {batch[0].number}-{batch[-1].number}"
                summary.reasons.append(f"{where}: {error}")
                return
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(0.2 * 2**attempt)
        else:
            summary.accepted += len(batch)
            return


def _line(number: int, event: dict[str, Any], shift: timedelta) -> Line:
    write_key = str(event.pop("writeKey", "") or "")
    event.setdefault("messageId", str(uuid.uuid4()))
    if shift:
        for name in _TIMES:
            if time := _instant(event.get(name)):
                event[name] = (time + shift).isoformat()
    return Line(number, msgspec.json.encode(event), write_key)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

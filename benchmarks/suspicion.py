"""What it costs to tell machines from people: one verdict, by how well the user agent is known.

Run: .venv/bin/python -m benchmarks.suspicion
"""

import sys
import time
from datetime import UTC, datetime

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names
from services.ingest.domain.suspicion import MAX_AGENT_CHARACTERS, Watch
from shared.events.touch import TouchType

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Safari/537.36"


def event(agent: str) -> Event:
    """Return a page view by this agent."""
    return Event(
        type=TouchType.PAGE,
        message_id="m",
        occurred_at=datetime.now(UTC),
        names=Names(user="u"),
        properties={"path": "/pricing"},
        user_agent=agent,
    )


def microseconds(watch: Watch, events: list[Event]) -> float:
    """Return the time of one verdict."""
    started = time.perf_counter()
    for one in events:
        watch.sign_of(one)
    return (time.perf_counter() - started) / len(events) * 1e6


def main() -> None:
    """Print the table."""
    plain, trapped = Watch(), Watch(honeypot_paths=["/trap", "/trap/*"])
    plain.sign_of(event("first"))  # compiles the library's expressions
    rows = [
        ("no user agent", plain, [event("")] * 100_000),
        ("an agent met before", plain, [event(CHROME.format("120.0"))] * 100_000),
        ("an agent met before, honeypots set", trapped, [event(CHROME.format("120.0"))] * 100_000),
        ("a new browser each time", plain, [event(CHROME.format(f"120.{number}")) for number in range(3_000)]),
        (
            f"{MAX_AGENT_CHARACTERS} letters, new each time",
            plain,
            [event(f"{number:05}" + "a" * 100_000) for number in range(300)],
        ),
    ]
    for name, watch, events in rows:
        sys.stdout.write(f"{name:40} {microseconds(watch, events):10.2f} µs\n")


if __name__ == "__main__":
    main()

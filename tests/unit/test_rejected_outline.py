"""A rejection as it is listed."""

from typing import Any

from services.cli_rejected import outline


def rejection(**fields: Any) -> dict[str, Any]:
    """Return a rejection as the API tells it."""
    return {
        "id": "077a06aa-6a62-5845-9da1-3a2cc9a9bc05",
        "first_seen": "2026-03-01T10:00:00Z",
        "source": "fair",
        "reason": "no_identifier",
        "topic": "events.campaign",
        "partition": 16,
        "offset": 0,
        "item": None,
        "seen": 1,
        "waiting": True,
        "message": "Nothing in it names a contact.",
        **fields,
    }


def test_the_facts_and_the_message() -> None:
    """They are lines of their own, however narrow the screen, and the id can be copied."""
    facts, message = outline(rejection())

    assert facts.startswith("077a06aa-6a62-5845-9da1-3a2cc9a9bc05  ")
    assert facts.endswith("seen 1")
    assert {"fair", "no_identifier"} <= set(facts.split())
    assert message == "    Nothing in it names a contact."


def test_one_that_was_replayed() -> None:
    """It says so; a source without a name is a dash."""
    facts, _ = outline(rejection(seen=2, waiting=False, source=""))

    assert facts.endswith("seen 2, replayed")
    assert "  -  " in facts

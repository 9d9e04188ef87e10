"""The opening question: it asks about them and what happened, and says nothing about us.

People tell why they began to look if one asks for the event, not for the opinion (the switch interview of Jobs to be
Done: first thought, passive and active looking, deciding).
"""

from collections.abc import Mapping
from types import MappingProxyType

from shared.events.handoff import HandoffReady

LONGEST_QUOTE = 160  # characters

_ASKED = "What happened that made you ask now?"
_BY_STAGE: Mapping[str, str] = MappingProxyType(
    {
        "first_thought": "What happened lately that made you look into this?",
        "passive_looking": "What would have to happen for this to become worth a change?",
        "active_looking": "What made you start looking now, and what have you ruled out already?",
        "deciding": "What has to be true for you to decide, and who decides with you?",
    }
)
_UNKNOWN = "What made you look into this now?"


def opening_question(ready: HandoffReady) -> str:
    """Return a question to begin the conversation with: about their words, else what they read, and their stage."""
    asked = ready.reason == "hand_raise"
    question = _BY_STAGE.get(ready.stage or "", _UNKNOWN)
    if ready.words:
        return f"You wrote “{_quote(ready.words[0].text)}” {_ASKED if asked else question}"
    if asked:
        return _ASKED
    page = ready.read[0].title or ready.read[0].path if ready.read else ""
    return f"You read “{_quote(page)}” {question}" if page else question


def _quote(text: str) -> str:
    """Return the text as one sentence of bounded length."""
    words = " ".join(text.split())
    if len(words) > LONGEST_QUOTE:
        return words[: LONGEST_QUOTE - 1].rstrip() + "…"
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."

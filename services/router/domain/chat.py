"""A handoff as a message in Slack or Teams, made from the webhook that everybody else gets.

Slack: https://docs.slack.dev/reference/block-kit/blocks. Teams: an Adaptive Card 1.4, at most 28 KB.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.router.domain.brief_text import headline, one_line

MOST_CHARACTERS = 2_900  # Slack takes 3,000 of a section
LONGEST_HEADER = 150
MOST_TEXT = 8_000  # of the whole brief in a card; 28 KB hold it in any script with all that is around it

_LABELS = (("accept", "Accept"), ("reject", "Reject"))


def slack_message(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for an incoming webhook of Slack."""
    title, sections = _title(envelope), _sections(envelope)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:LONGEST_HEADER], "emoji": False}}
    ]
    blocks += [
        {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(section)[:MOST_CHARACTERS]}}
        for section in sections
    ]
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": label}, "url": url, "action_id": f"tandem-{label}"}
        for label, url in _links(envelope)
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": _escaped(title), "blocks": blocks}


def teams_message(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body for a workflow of Teams, or for a connector of the old kind."""
    title, sections = _title(envelope), _sections(envelope)
    left = MOST_TEXT
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": title, "size": "Large", "weight": "Bolder", "wrap": True}
    ]
    for section in sections:
        body.append({"type": "TextBlock", "text": _plain(section[:left]), "wrap": True, "separator": True})
        left -= len(section)
        if left <= 0:
            break
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in _links(envelope)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _title(envelope: Mapping[str, Any]) -> str:
    data = envelope.get("data", {})
    brief = data.get("brief")
    if brief is None:
        return str(envelope.get("type", "")).replace(".", " ")
    who, rep = brief["who"], data.get("rep") or {}
    named = headline(who["name"], who["email"], title=who["title"], company=brief["account"]["name"])
    return one_line(f"{rep['name']}: {named}" if rep.get("name") else named)


def _sections(envelope: Mapping[str, Any]) -> Sequence[str]:
    """Return the brief's sections without its headline, which is the title."""
    brief = envelope.get("data", {}).get("brief")
    text = brief["text"].partition("\n")[2] if brief else ""
    return [section for part in text.split("\n\n") if (section := part.strip("\n"))]


def _links(envelope: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the pages that ask before they answer; the API's own addresses take a key and are no links."""
    links = envelope.get("data", {}).get("links") or {}
    return [(label, links[name]) for name, label in _LABELS if isinstance(links.get(name), str)]


def _escaped(text: str) -> str:
    """Leave no markup in the text: what somebody typed may not mention the whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Keep lines as lines, and what somebody typed from being read as Markdown."""
    for mark in "\\*_[]`~#<>":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", "\n\n")

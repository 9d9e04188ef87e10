"""What the demo shows: counters and leads while they come, then one lead in full."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.receiver import Receipt


@dataclass(slots=True)
class Progress:
    """How far the demo is."""

    expected: int
    lines: int = 0
    accepted: int = 0
    refused: int = 0
    touches: int = 0
    contacts: int = 0
    handoffs: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)


def render_progress(progress: Progress) -> RenderableType:
    """Return the counters above the leads."""
    counters = Table.grid(padding=(0, 3))
    counters.add_row("events accepted", f"{progress.accepted} of {progress.lines}", f"{progress.refused} refused")
    counters.add_row("contacts scored", str(progress.contacts), f"{progress.touches} touches counted")
    counters.add_row("leads", f"{len(progress.handoffs)}", f"{len(progress.receipts)} webhooks received and verified")

    leads = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("lead", "company", "why", "score", "fit", "rep", "webhook"):
        leads.add_column(column)
    verified = {payload["data"]["handoff"]["id"] for payload in progress.receipts}
    for handoff in sorted(progress.handoffs, key=lambda item: item["decided_at"]):
        contact = handoff["contact"]
        leads.add_row(
            contact.get("email", ""),
            contact.get("company", ""),
            handoff["reason"].replace("_", " "),
            f"{handoff['engagement']:.1f}",
            f"{handoff['fit']:.0f}",
            (handoff.get("rep") or {}).get("name", "waiting"),
            Text("verified", style="green") if handoff["id"] in verified else "under way",
        )
    return Group(Panel(counters, title="Tandem", title_align="left"), leads)


def render_lead(receipt: Receipt, contact: dict[str, Any]) -> RenderableType:
    """Return the brief and the explanation of one lead."""
    brief = receipt.payload["data"]["brief"]
    parts = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("engagement", "touches", "decayed", "points", "value"):
        parts.add_column(column, justify="left" if column == "engagement" else "right")
    for part in contact["engagement"]["parts"]:
        name = part.get("rule") or f"{part['adjustment']} {part.get('group', '')}".strip()
        ruled = bool(part.get("rule"))
        parts.add_row(
            name,
            str(part["count"]) if ruled else "",
            f"{part['decayed']:.3f}" if ruled else "",
            f"{part['points']:g}" if ruled else "",
            f"{part['value']:.3f}",
        )
    parts.add_row("adds up to", "", "", "", f"{contact['engagement']['score']:.3f}", style="bold")
    parts.add_section()
    for part in contact["fit"]["parts"]:
        parts.add_row(f"fit: {part.get('rule') or part['adjustment']}", "", "", "", f"{part['value']:.3f}")
    parts.add_row("adds up to", "", "", "", f"{contact['fit']['score']:.3f}", style="bold")
    return Group(
        Panel(Text(brief["text"]), title=f"webhook {receipt.webhook_id}", title_align="left"),
        Panel(parts, title="the score, explained", title_align="left"),
    )

"""What the terminal shows of a contact: its scores with their parts, what is missing, how it cools, how it went."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.terminal import printable

_WIDTH = 40  # characters of a bar that stands for 100
_ROWS = 8  # of the chart
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def render_contact(contact: dict[str, Any]) -> RenderableType:
    """Return all of the explanation."""
    shown: list[RenderableType] = [_head(contact)]
    for axis in ("engagement", "fit"):
        shown.append(_title(axis, contact[axis], contact["gaps"]))
        shown.append(Padding(_parts(contact[axis]), (0, 0, 0, 2)))
    shown += [_readiness(contact), _next(contact)]
    return Group(*shown)


def render_history(history: dict[str, Any]) -> RenderableType:
    """Return a chart of engagement, and below it what happened when."""
    points = history["points"]
    scores = [point["engagement"] for point in points]
    known = [score for score in scores if score is not None]
    shown: list[RenderableType] = [Text(f"engagement of {history['contact']}", style="bold")]
    if known:
        shown.append(_chart(scores))
        shown.append(Text(f"{'':5}{_day(history['since'])}{_day(history['until']):>{max(len(scores) - 10, 11)}}"))
        newest = points[-1]
        shown.append(Text(f"lowest {min(known):.1f}, highest {max(known):.1f}, in the end {scores[-1] or 0:.1f}"))
        shown.append(Text(f"in the end: fit {newest['fit'] or 0:.0f}, stage {newest['stage'] or 'unknown'}"))
    else:
        shown.append(Text("No agreement was in force."))
    shown.append(_events(history))
    return Group(*shown)


def _head(contact: dict[str, Any]) -> RenderableType:
    names = ", ".join(printable(f"{alias['kind']} {alias['value']}", lines=False) for alias in contact["aliases"])
    agreement = f"agreement {contact['agreement']}" if contact["agreement"] else "no agreement"
    account = (contact["account"] or {}).get("domain") or "no company known"
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text("contact", style="dim"), Text(contact["id"]))
    grid.add_row(Text("known as", style="dim"), Text(names or "nothing yet"))
    grid.add_row(Text("company", style="dim"), Text(printable(account, lines=False)))
    grid.add_row(Text("scored", style="dim"), Text(f"as of {_minute(contact['as_of'])} under {agreement}"))
    return grid


def _title(axis: str, score: dict[str, Any], gaps: Iterable[dict[str, Any]]) -> RenderableType:
    filled = round(score["score"] / 100 * _WIDTH)
    is_short = any(gap["what"] == axis for gap in gaps)
    bar = Text("█" * filled, style="yellow" if is_short else "green").append("░" * (_WIDTH - filled), style="dim")
    return Text.assemble((f"\n{axis:<12}", "bold"), bar, (f" {score['shown']:>6}", "bold"), " of 100")


def _parts(score: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("part", min_width=22)
    table.add_column("group")
    for column in ("touches", "left", "points", "value"):
        table.add_column(column, justify="right")
    table.add_column("")
    for part in score["parts"]:
        counted = "decayed" in part
        table.add_row(
            Text(part.get("rule") or part["adjustment"].replace("_", " ")),
            Text(part.get("group", "")),
            str(part["count"]) if counted else "",
            f"{part['decayed']:.2f}" if counted else "",
            f"{part['points']:g}" if "points" in part else "",
            Text(part["shown"], style="red" if part["value"] < 0 else ""),
            Text(_remark(part), style="dim"),
        )
    if not score["parts"]:
        table.add_row(Text("nothing yet", style="dim"))
    return table


def _remark(part: dict[str, Any]) -> str:
    remarks = [
        f"{part[key]} {words}"
        for key, words in (("over", "over the limit"), ("suspect", "by a machine"))
        if part.get(key)
    ]
    if part.get("adjustment") == "disqualified":
        remarks.append("rules the contact out")
    return ", ".join(remarks)


def _readiness(contact: dict[str, Any]) -> RenderableType:
    stage = contact["stage"] or "unknown"
    lines = [Text.assemble(("\nstage       ", "bold"), stage)]
    for found in contact["evidence"]:
        until = f"until {_day(found['until'])}" if found["until"] else "for good"
        lines.append(Text(f"  {found['stage']} by {found['rule']} on {_day(found['at'])}, holds {until}", style="dim"))
    verdict = ("ready", "bold green") if contact["ready"] else ("not ready", "bold yellow")
    lines.append(Text.assemble(("\nsales       ", "bold"), verdict, f" after {contact['touches']} touches"))
    lines += [Text(f"  missing: {words}") for words in contact["missing"]]
    cooling = contact["cooling"] or {"engagement": [], "ready_until": None}
    if cooling["ready_until"]:
        lines.append(Text(f"  ready until {_minute(cooling['ready_until'])} if nothing more happens"))
    for fall in cooling["engagement"]:
        if fall["at"]:
            lines.append(Text(f"  engagement falls below {fall['level']:g} on {_minute(fall['at'])}", style="dim"))
    return Group(*lines)


def _next(contact: dict[str, Any]) -> RenderableType:
    return Text.assemble(("\nhandoff     ", "bold"), contact["arming"]["words"])


def _chart(scores: Sequence[float | None]) -> RenderableType:
    rows = []
    for row in range(_ROWS, 0, -1):
        low, high = (row - 1) * 100 / _ROWS, row * 100 / _ROWS
        cells = "".join(_cell(score, low, high) for score in scores)
        label = f"{high:>4.0f} " if row in {_ROWS, _ROWS // 2} else f"{0:>4} " if row == 1 else " " * 5
        rows.append(Text.assemble((label, "dim"), (cells, "cyan")))
    return Group(*rows)


def _cell(score: float | None, low: float, high: float) -> str:
    if score is None:
        return " "
    share = min(1.0, max(0.0, (score - low) / (high - low)))
    if low == 0 and score >= 0 and share * 8 < 1:
        return "▁"  # a zero that is known is no gap
    return _EIGHTHS[int(share * 8)]


def _events(history: dict[str, Any]) -> RenderableType:
    told = [(each["since"], f"agreement {each['version']} in force") for each in history["agreements"]]
    told += [(step["at"], _step(step)) for step in history["steps"]]
    table = Table.grid(padding=(0, 2))
    for at, words in sorted(told):
        table.add_row(Text(_minute(at), style="dim"), Text(printable(words, lines=False)))
    return table


def _step(step: dict[str, Any]) -> str:
    reason = f" ({step['reason'].replace('_', ' ')})" if step["reason"] else ""
    kind = "handed off" if step["kind"] == "handoff" else step["kind"].replace("_", " ")
    return f"{kind}{reason}"


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}"


def _day(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d}"

"""The chart of a simulation: leads per week under the active agreement and under the draft, against the capacity.

What is drawn is reckoned once, as plain shapes; an SVG inside an HTML page and a PNG are two ways of drawing them. The
page needs nothing else, and follows the reader's choice of light or dark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from io import BytesIO
from math import ceil, log10
from typing import Any, Literal

Ink = Literal["active", "draft", "capacity", "text", "faint", "line"]
Align = Literal["start", "middle", "end"]

WIDTH, HEIGHT = 960, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 84, 56
_MOST_LABELS = 14  # weeks named below the axis
_SIZE = 13  # of letters

# Both pairs keep a contrast of 3 to 1 and more with their ground and with each other.
LIGHT: dict[Ink, str] = {
    "active": "#7a8794",
    "draft": "#1769aa",
    "capacity": "#b3261e",
    "text": "#1b1f24",
    "faint": "#5b6570",
    "line": "#d7dce1",
}
DARK: dict[Ink, str] = {
    "active": "#8b98a5",
    "draft": "#62b0f5",
    "capacity": "#ff8a80",
    "text": "#e8eaed",
    "faint": "#a4adb6",
    "line": "#3a4149",
}
_GROUND = {"light": "#ffffff", "dark": "#15191e"}


class ChartUnavailable(Exception):
    """Raised when a picture cannot be drawn because an optional package is missing; the message says which."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle; `partial` weeks are drawn pale."""

    x: float
    y: float
    width: float
    height: float
    ink: Ink
    hint: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    ink: Ink
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text; y is its base line."""

    x: float
    y: float
    text: str
    ink: Ink = "text"
    align: Align = "start"
    size: int = _SIZE


Shape = Bar | Rule | Label


def chart_html(simulation: dict[str, Any]) -> str:
    """Return a page that shows the chart and the numbers behind it, for a simulation as the API tells it."""
    title = _title(simulation)
    rows = "".join(
        f"<tr><td>{escape(str(week['week']))}</td><td>{week['active']}</td><td>{week['draft']}</td></tr>"
        for week in simulation["result"]["weeks"]
    )
    light, dark = (
        "".join(f"--{ink}:{colour};" for ink, colour in theme.items()) + f"--ground:{_GROUND[name]};"
        for name, theme in (("light", LIGHT), ("dark", DARK))
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
:root {{ {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
body {{ margin: 2rem auto; max-width: {WIDTH}px; padding: 0 1rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }}
svg {{ display: block; width: 100%; height: auto; font-family: system-ui, sans-serif; }}
table {{ border-collapse: collapse; margin-top: 1.5rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem 1.5rem .2rem 0; text-align: right; border-bottom: 1px solid var(--line); }}
th:first-child, td:first-child {{ text-align: left; }}
th {{ color: var(--faint); font-weight: 500; }}
</style>
</head>
<body>
{chart_svg(simulation)}
<table><thead><tr><th>week of</th><th>active</th><th>draft</th></tr></thead><tbody>{rows}</tbody></table>
</body>
</html>
"""


def chart_svg(simulation: dict[str, Any]) -> str:
    """Return the chart as SVG whose colours are variables of the page that holds it."""
    drawn = "\n".join(map(_svg, shapes(simulation)))
    title = escape(_title(simulation), quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">\n{drawn}\n</svg>'


def chart_png(simulation: dict[str, Any]) -> bytes:
    """Return the chart as PNG on a light ground, at twice its size. Raises ChartUnavailable."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise ChartUnavailable(
            "A PNG needs Pillow: pip install 'tandem-handoff[charts]'. An .html file needs nothing more."
        ) from None
    scale = 2
    image = Image.new("RGB", (WIDTH * scale, HEIGHT * scale), _GROUND["light"])
    draw = ImageDraw.Draw(image)
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}
    for shape in shapes(simulation):
        colour = LIGHT[shape.ink]
        match shape:
            case Bar():
                box = [shape.x, shape.y, shape.x + shape.width, shape.y + shape.height]
                fill = _lighter(colour) if shape.partial else colour
                draw.rectangle([round(edge * scale) for edge in box], fill=fill)
            case Rule():
                for x1, x2 in _dashes(shape):
                    draw.line([x1 * scale, shape.y1 * scale, x2 * scale, shape.y2 * scale], fill=colour, width=scale)
            case Label():
                font = ImageFont.load_default(shape.size * scale)
                place = (shape.x * scale, shape.y * scale)
                draw.text(place, shape.text, fill=colour, font=font, anchor=anchors[shape.align])
    written = BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def shapes(simulation: dict[str, Any]) -> list[Shape]:
    """Return what the chart consists of, from back to front."""
    result, capacity = simulation["result"], simulation["capacity"]
    weeks: Sequence[dict[str, Any]] = result["weeks"]
    top = _nice(max([1, capacity or 0, *(max(week["active"], week["draft"]) for week in weeks)]))
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return round(_TOP + height * (1 - value / top), 1)

    drawn: list[Shape] = list(_legend(simulation))
    for step in range(5):
        value = top * step / 4
        drawn.append(Rule(_LEFT, y(value), WIDTH - _RIGHT, y(value), "line"))
        drawn.append(Label(_LEFT - 8, y(value) + 4, f"{value:g}", "faint", "end"))
    slot = width / max(1, len(weeks))
    bar = min(slot * 0.38, 36.0)
    every = ceil(len(weeks) / _MOST_LABELS)
    for number, week in enumerate(weeks):
        middle = _LEFT + slot * (number + 0.5)
        for side, left in (("active", middle - bar), ("draft", middle)):
            count = week[side]
            hint = f"week of {week['week']}: {count} under the {_NAMES[side]}"
            ink: Ink = "active" if side == "active" else "draft"
            drawn.append(Bar(left, y(count), bar - 1, y(0) - y(count), ink, hint, partial=week["days"] < 7))
        if number % every == 0:
            day = date.fromisoformat(str(week["week"]))
            drawn.append(Label(middle, HEIGHT - _BOTTOM + 20, f"{day:%d %b}", "faint", "middle"))
    if capacity is not None:
        drawn.append(Rule(_LEFT, y(capacity), WIDTH - _RIGHT, y(capacity), "capacity", dashed=True))
        drawn.append(Label(WIDTH - _RIGHT, y(capacity) - 6, f"capacity {capacity} a week", "capacity", "end"))
    drawn.append(Label(_LEFT, HEIGHT - 12, "Weeks begin on Monday (UTC); pale bars are weeks in part.", "faint"))
    return drawn


_NAMES = {"active": "active agreement", "draft": "draft"}


def _title(simulation: dict[str, Any]) -> str:
    return f"Leads per week: {simulation['draft']['title']}"


def _legend(simulation: dict[str, Any]) -> Iterator[Shape]:
    result, active, draft = simulation["result"], simulation["active"], simulation["draft"]["version"]
    leads = result["leads"]
    yield Label(_LEFT, 28, _clipped(_title(simulation)), size=18)
    told = (
        ("active", f"active agreement{f' {active}' if active else ''}: {leads['active']} leads", _LEFT),
        ("draft", f"draft{f' {draft}' if draft else ''}: {leads['draft']} leads", _LEFT + 260),
    )
    for side, line, x in told:
        yield Bar(x, 46, 12, 12, "active" if side == "active" else "draft")
        yield Label(x + 18, 57, line)
    yield Label(_LEFT + 480, 57, f"gained {leads['gained']}, lost {leads['lost']}", "faint")


def _clipped(text: str, most: int = 90) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _nice(largest: float) -> float:
    """Return a round number, not below the largest, that four steps divide well."""
    unit = 10 ** int(log10(largest))
    return float(next(step * unit for step in (1, 2, 4, 6, 8, 10, 20) if step * unit >= largest and step * unit >= 4))


def _svg(shape: Shape) -> str:
    match shape:
        case Bar():
            hint = f"<title>{escape(shape.hint)}</title>" if shape.hint else ""
            faint = ' fill-opacity=".55"' if shape.partial else ""
            size = f'width="{shape.width:.1f}" height="{shape.height:.1f}"'
            return f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" {size} fill="var(--{shape.ink})"{faint}>{hint}</rect>'
        case Rule():
            dashes = ' stroke-dasharray="6 4"' if shape.dashed else ""
            ends = f'x1="{shape.x1}" y1="{shape.y1}" x2="{shape.x2}" y2="{shape.y2}"'
            return f'<line {ends} stroke="var(--{shape.ink})"{dashes}/>'
        case Label():
            place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" text-anchor="{shape.align}"'
            return f'<text {place} fill="var(--{shape.ink})">{escape(shape.text)}</text>'


def _dashes(rule: Rule) -> Iterator[tuple[float, float]]:
    if not rule.dashed:
        yield rule.x1, rule.x2
        return
    x = rule.x1
    while x < rule.x2:
        yield x, min(x + 6, rule.x2)
        x += 10


def _lighter(colour: str) -> str:
    parts = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * 0.55):02x}" for part in parts)

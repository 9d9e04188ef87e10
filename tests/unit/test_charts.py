"""The chart of leads per week."""

from datetime import date, timedelta
from io import BytesIO
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

from PIL import Image

from services.charts import DARK, HEIGHT, LIGHT, WIDTH, Bar, Label, chart_html, chart_png, chart_svg, shapes


def simulated(*weeks: tuple[int, int], capacity: int | None = 40, title: str = "A lead") -> dict[str, Any]:
    """Return a simulation with leads of active and draft in each week; the first week is one in part."""
    monday = date(2026, 3, 2)
    return {
        "draft": {"version": 4, "title": title},
        "active": 3,
        "capacity": capacity,
        "result": {
            "weeks": [
                {"week": str(monday + number * timedelta(days=7)), "days": 7 if number else 3, "active": a, "draft": d}
                for number, (a, d) in enumerate(weeks)
            ],
            "leads": {"active": 1, "draft": 2, "gained": 1, "lost": 0},
        },
    }


def test_bars_are_as_high_as_they_say() -> None:
    """Heights are in proportion, bars stand beside each other, and all of it is on the picture."""
    drawn = shapes(simulated((10, 20), (40, 30), (0, 5)))
    bars = [shape for shape in drawn if isinstance(shape, Bar) and shape.hint]

    heights = [bar.height for bar in bars]
    assert [round(height / heights[0], 2) for height in heights] == [1, 2, 4, 3, 0, 0.5]
    assert [bar.partial for bar in bars] == [True, True, False, False, False, False]
    assert all(one.x + one.width <= other.x for one, other in pairwise(bars))
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH and bar.y + bar.height <= HEIGHT for bar in bars)


def test_many_weeks_and_none() -> None:
    """Ten years of weeks leave room between their names; a chart without a lead or a week is one all the same."""
    many = shapes(simulated(*[(1, 2)] * 520, capacity=None))
    assert sum(isinstance(shape, Label) and shape.align == "middle" for shape in many) <= 14
    assert chart_svg(simulated()).startswith("<svg")
    assert chart_png(simulated((0, 0), capacity=None))
    assert "9000" in chart_svg(simulated((9000, 1)))


def test_a_page_that_needs_nothing_else() -> None:
    """The page is well-formed, escapes what people wrote, loads nothing, and has colours for light and dark."""
    page = chart_html(simulated((3, 5), title="<script>alert('a & b')</script>"))

    assert "<script>" not in page
    assert "http" not in page
    assert "prefers-color-scheme: dark" in page
    assert all(colour in page for colour in (*LIGHT.values(), *DARK.values()))
    ET.fromstring(chart_svg(simulated((3, 5), title="<a & b>")))


def test_a_picture() -> None:
    """The PNG is twice the size of the chart, and not of one colour."""
    image = Image.open(BytesIO(chart_png(simulated((3, 5), (10, 50)))))

    assert image.size == (WIDTH * 2, HEIGHT * 2)
    assert len(image.getcolors(1 << 20) or []) > 10

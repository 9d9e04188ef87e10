"""The part of `docs/events.md` that lists the vocabulary, made from the code.

python -m shared.events.vocabulary_page
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from shared.events.vocabulary import VOCABULARY, KnownEvent
from shared.events.vocabulary_properties import Property

PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"
BEGIN = "<!-- vocabulary: made by python -m shared.events.vocabulary_page -->"
END = "<!-- end of vocabulary -->"


def render() -> str:
    """Return the part, in Markdown."""
    return "\n".join(_lines())


def replaced(page: str) -> str:
    """Return the page with the part as it has to be. Raises ValueError when the page has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no {BEGIN} with {END} after it.")
    return f"{before}{BEGIN}\n\n{render()}\n{END}{after}"


def _lines() -> Iterator[str]:
    for group, events in groupby(VOCABULARY, key=lambda event: event.group):
        yield f"### {group}"
        yield ""
        yield "| event | meaning | properties |"
        yield "|---|---|---|"
        listed = list(events)
        for event in listed:
            yield f"| {_event(event)} | {_meaning(event)} | {', '.join(f'`{one.name}`' for one in event.properties)} |"
        yield ""
        yield "| property | type | meaning | Tandem reads |"
        yield "|---|---|---|---|"
        for one in dict.fromkeys(one for event in listed for one in event.properties):
            yield f"| `{one.name}` | {_type(one)} | {one.meaning} | {one.read or ''} |"
        yield ""


def _event(event: KnownEvent) -> str:
    return f"`{event.name}`" if event.type == "track" else f"a {event.type} call"


def _meaning(event: KnownEvent) -> str:
    marks = [event.effect.capitalize()] if event.effect else []
    marks += ["Done to the contact"] if event.done_to else []
    return " ".join([event.meaning, *(f"**{mark}.**" for mark in marks)])


def _type(one: Property) -> str:
    return f"{one.type}, {one.unit}" if one.unit else str(one.type)


def main() -> None:
    """Bring the page up to date."""
    PAGE.write_text(replaced(PAGE.read_text()))


if __name__ == "__main__":
    main()

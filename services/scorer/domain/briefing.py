"""What the rep is told beside the score: what the contact read lately, and its own words."""

from collections.abc import Iterable, Iterator
from typing import Any

from services.scorer.domain.deciding import Handoff
from services.scorer.domain.reading_matter import pages_read, promises_made
from services.scorer.domain.terms import Terms
from shared.agreement.model import ALWAYS, Condition, Rule
from shared.events.handoff import HandoffReady, Respond, TouchSummary, Words
from shared.events.touch import Touch, TouchType
from shared.events.vocabulary import is_own_doing

RECENT = 20  # touches
MOST_WORDS = 20
LONGEST_TEXT = 2000  # characters

# Fields of forms and searches in which people write in their own words, compared without case and separators.
_OWN_WORDS = frozenset(
    "message messages comment comments note notes question questions description details request requirements reason "
    "challenge challenges problem goal goals usecase howcanwehelp howcanwehelpyou feedback additionalinformation "
    "query search searchterm searchquery".split()
)
# Where form tools put the answers: as a mapping, or as a list of {name, value}.
_NESTS = frozenset("fields formfields answers responses submission data".split())
_LABELS = ("name", "label", "field", "question", "key")


def handoff_ready(handoff: Handoff, history: Iterable[Touch], terms: Terms) -> HandoffReady:
    """Build the message to the router. `history` is what was received until the decision, newest first."""
    touches = list(history)
    counted = {part.rule for part in handoff.assessment.engagement.parts if part.count}
    recent = [touch for touch in touches if is_own_doing(touch)][:RECENT]
    respond = terms.agreement.respond
    within = respond.hand_raise if handoff.reason == "hand_raise" else respond.standard
    newest = max(touches, key=lambda touch: (touch.received_at, touch.id), default=None)
    return HandoffReady(
        id=handoff.id,
        contact=handoff.contact,
        agreement=terms.version,
        decided_at=handoff.decided_at,
        reason=handoff.reason,
        touch_id=handoff.touch_id or (newest.id if newest else handoff.id),
        engagement=handoff.assessment.engagement,
        fit=handoff.assessment.fit,
        stage=handoff.assessment.stage,
        touches=handoff.assessment.touches,
        recent=tuple(summarize(touch, terms) for touch in recent),
        words=own_words(touches),
        first_campaign=handoff.first_campaign,
        last_campaign=handoff.last_campaign,
        respond=Respond(
            within_seconds=int(within.total_seconds()),
            reassign_after_seconds=int(respond.reassign_after.total_seconds()),
            escalate_after_seconds=int(respond.escalate_after.total_seconds()),
            hours="always" if respond.hours == ALWAYS else "business",
            calendar=terms.agreement.calendars.get(respond.hours),
        ),
        reject_reasons=terms.agreement.reject_reasons,
        promises=promises_made(touches, first=handoff.first_campaign, last=handoff.last_campaign),
        read=pages_read(touches),
        unread=tuple(rule.id for rule in terms.agreement.rules if rule.id not in counted and _is_reading(rule)),
        opted_in_at=handoff.opted_in_at,
        account=handoff.account,
    )


def summarize(touch: Touch, terms: Terms | None) -> TouchSummary:
    """Return the touch in the words of the brief, with the rules that it meets."""
    rules = terms.agreement.rules if terms else ()
    met = terms.matcher.match(touch) if terms else ()
    return TouchSummary(
        at=touch.occurred_at,
        type=str(touch.type),
        name=touch.name,
        path=touch.path,
        title=touch.title,
        rules=tuple(rules[index].id for index in met),
    )


def own_words(touches: Iterable[Touch]) -> tuple[Words, ...]:
    """Return what the contact wrote, newest first, each text once."""
    words: dict[str, Words] = {}
    for touch in touches:
        if touch.type is TouchType.TRACK:  # the `search` of a page call is its query string
            for field, text in _written(touch.properties):
                if len(words) < MOST_WORDS:
                    words.setdefault(text, Words(touch.occurred_at, field, text))
    return tuple(words.values())


def _written(properties: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in properties.items():
        plain = _plain(field)
        if plain in _OWN_WORDS and isinstance(value, str) and value.strip():
            yield field, value.strip()[:LONGEST_TEXT]
        elif plain in _NESTS and isinstance(value, dict):
            yield from _written({key: inner for key, inner in value.items() if isinstance(inner, str)})
        elif plain in _NESTS and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    label = next((item[key] for key in _LABELS if isinstance(item.get(key), str)), "")
                    yield from _written({label: item.get("value", item.get("answer"))} if label else {})


def _plain(field: str) -> str:
    return "".join(character for character in field.casefold() if character.isalnum())


def _is_reading(rule: Rule) -> bool:
    """Tell whether the rule rewards a page: what such a page says, the contact has not heard from us yet."""
    return rule.points > 0 and not rule.hand_raise and _asks_for_page(rule.when)


def _asks_for_page(when: Iterable[Condition]) -> bool:
    return any(
        condition.field in {"path", "url", "title"} or any(_asks_for_page(inner) for inner in condition.of)
        for condition in when
    )

"""Links: what we signed is read back, and nothing else is."""

import hashlib
import re
from base64 import b64encode
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.answer_link import AnswerLinks, Link
from services.router.domain.answer_page import Question, ask, headers, tell
from services.router.domain.handoff import ANSWERED, Step
from services.router.errors import LinkExpired, LinkInvalid
from tests.support.handoffs import DECIDED_AT

HANDOFF = UUID("0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b")
OLD, NEW = b"1" * 32, b"2" * 32
LINKS = AnswerLinks(keys=(NEW,), public_url="https://tandem.example/", lifetime=timedelta(days=30))
SAID = [*ANSWERED, Step.OBJECTION, Step.STORY]


def token(url: str) -> str:
    return url.rpartition("/")[2]


@given(
    st.uuids(),
    st.integers(0, 32767),
    st.sampled_from(SAID),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2400, 1, 1)),  # noqa: DTZ001  # made aware below
)
def test_any_link(handoff: UUID, assignment: int, step: Step, expires_at: datetime) -> None:
    """What is read is what was written, to the second."""
    link = Link(handoff, assignment, step, expires_at.replace(microsecond=0, tzinfo=DECIDED_AT.tzinfo))

    assert LINKS.read(LINKS.token(link), now=link.expires_at - timedelta(seconds=1)) == link
    with pytest.raises(LinkExpired):
        LINKS.read(LINKS.token(link), now=link.expires_at)


@given(st.integers(0, 10_000), st.text("ABCabc019-_", min_size=1, max_size=1))
def test_any_change(place: int, character: str) -> None:
    """A link that somebody changed anywhere is not one."""
    written = LINKS.token(Link(HANDOFF, 1, Step.ACCEPT, DECIDED_AT))
    place %= len(written) - 1  # the last character has bits that stand for nothing
    changed = written[:place] + character + written[place + 1 :]
    if changed != written:
        with pytest.raises(LinkInvalid):
            LINKS.read(changed, now=DECIDED_AT - timedelta(days=1))


@pytest.mark.parametrize("text", ["", "x", "é", "....", "A" * 5000, "=" * 8])
def test_what_is_no_link(text: str) -> None:
    """Nothing that somebody may type raises anything else."""
    with pytest.raises(LinkInvalid):
        LINKS.read(text, now=DECIDED_AT)


def test_the_key_is_replaced() -> None:
    """Links of before the change still count while the old key is there, and not longer."""
    old = AnswerLinks(keys=(OLD,)).of(HANDOFF, assignment=1, at=DECIDED_AT)
    both, new = AnswerLinks(keys=(NEW, OLD)), AnswerLinks(keys=(NEW,))

    assert both.read(token(old["accept"]), now=DECIDED_AT).handoff_id == HANDOFF
    with pytest.raises(LinkInvalid):
        new.read(token(old["accept"]), now=DECIDED_AT)


def test_without_a_key() -> None:
    """There are no links, and none can be read."""
    assert AnswerLinks().of(HANDOFF, assignment=1, at=DECIDED_AT) == {}
    with pytest.raises(LinkInvalid):
        AnswerLinks().read(LINKS.token(Link(HANDOFF, 1, Step.ACCEPT, DECIDED_AT)), now=DECIDED_AT)


@pytest.mark.parametrize("step", SAID)
def test_a_page(step: Step) -> None:
    """It asks without script, loads nothing, and shows what people wrote as text."""
    page = ask(Question(step, rep="<b>Rita", about='"><script>x</script>', reasons=("a&b",), wrong="<i>"))

    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "src=" not in page
    assert "href=" not in page
    assert 'method="post"' in page
    assert 'type="checkbox" name="sure" value="yes" required' in page
    assert "default-src 'none'" in headers()["Content-Security-Policy"]
    style = hashlib.sha256(page.partition("<style>")[2].partition("</style>")[0].encode()).digest()
    assert f"'sha256-{b64encode(style).decode()}'" in headers()["Content-Security-Policy"]


def test_what_was_typed_before() -> None:
    """Nobody types it again because one field was wrong: text, lines and choice are as they were, as text."""
    typed = {"note": '\nfirst "line"\n</textarea><b>', "objection": "a < b", "reason": "no_budget", "rep": "<b>"}
    page = ask(Question(Step.REJECT, rep="", about="Ada", reasons=("other", "no_budget"), wrong="No.", given=typed))

    assert '<option value="no_budget" selected>' in page
    assert 'value="a &lt; b"' in page
    assert 'maxlength="5000">\n\nfirst &quot;line&quot;\n&lt;/textarea&gt;&lt;b&gt;</textarea>' in page
    assert "<b>" not in page


@pytest.mark.parametrize("step", SAID)
def test_a_page_by_keyboard_and_ear(step: Step) -> None:
    """Every field has its label, what is wrong is announced, and the order of focus is that of the page."""
    page = ask(Question(step, rep="Rita", about="Ada", reasons=("other",), wrong="No."))
    fields = re.findall(r'<(?:input type="text"|select|textarea) id="(\w+)" name="(\w+)"', page)

    assert fields
    assert all(f'<label for="{name}">' in page and name == identity for identity, name in fields)
    assert '<label class="sure"><input type="checkbox"' in page
    assert 'class="wrong" role="alert"' in page
    assert '<html lang="en">' in page
    assert 'name="viewport" content="width=device-width' in page
    assert "tabindex" not in page
    assert "autofocus" not in page
    assert ":focus-visible{outline" in page


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    """Text can be read and borders be seen by most eyes, in daylight and in the dark: 4.5 to 1 and 3 to 1."""
    page = tell("A page", "x")
    colours = dict(re.findall(r"--([\w-]+):#([0-9a-f]{3,6})", page.split(":root{")[scheme + 1].split("}")[0]))

    for ink, ground, least in (
        *(("ink", "card", 4.5), ("soft", "card", 4.5), ("wrong", "card", 4.5), ("on-deed", "deed", 4.5)),
        *(("line", "card", 3.0), ("deed", "card", 3.0), ("focus", "card", 3.0)),
    ):
        assert contrast(colours[ink], colours[ground]) >= least, (ink, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    whole = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = (int(whole[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

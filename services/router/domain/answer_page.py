"""The page behind a link: it asks, and its form answers. No script, nothing from elsewhere."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from services.router.domain.handoff import Step

_STYLE = (
    ":root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--ink:#1c2430;--soft:#475467;--line:#667085;"
    "--deed:#14532d;--on-deed:#fff;--wrong:#991b1b;--focus:#1d4ed8}"
    "@media (prefers-color-scheme:dark){:root{--page:#10141a;--card:#1b222c;--ink:#eef1f5;--soft:#b3bdca;"
    "--line:#8b98a9;--deed:#86d9a3;--on-deed:#0b1f13;--wrong:#ffa8a0;--focus:#9bbcff}}"
    "*{box-sizing:border-box}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;background:var(--page);color:var(--ink)}"
    "main{max-width:34rem;margin:8vh auto;padding:2rem;background:var(--card);border-radius:10px;"
    "box-shadow:0 1px 4px rgba(0,0,0,.2);overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}"
    "p{margin:0 0 .75rem}"
    "label{display:block;margin:1.1rem 0 .3rem;font-weight:600}"
    "label>span{font-weight:400;color:var(--soft)}"
    "label.sure>span{color:inherit}"
    "label.sure{display:flex;gap:.6rem;align-items:flex-start;font-weight:400;margin-top:1.4rem}"
    "input[type=checkbox]{flex:none;width:1.35rem;height:1.35rem;margin:.1rem 0 0;accent-color:var(--deed)}"
    "input[type=text],select,textarea{width:100%;font:inherit;color:inherit;background:var(--card);padding:.6rem;"
    "min-height:2.75rem;border:1px solid var(--line);border-radius:6px}"
    "textarea{resize:vertical}"
    "button{margin-top:1.4rem;min-height:2.75rem;font:inherit;font-weight:600;padding:.6rem 1.6rem;border:0;"
    "border-radius:6px;background:var(--deed);color:var(--on-deed);cursor:pointer}"
    ":focus-visible{outline:3px solid var(--focus);outline-offset:2px}"
    ".about{font-size:1.1rem}"
    ".hint{color:var(--soft);font-size:.9rem}"
    ".wrong{color:var(--wrong);border-left:4px solid;padding-left:.75rem;font-weight:600}"
    "@media (max-width:36rem){main{margin:0;min-height:100vh;padding:1.25rem;border-radius:0;box-shadow:none}"
    "button{width:100%}}"
)

_QUESTIONS = {
    Step.ACCEPT: ("Take this lead?", "I take it", "Take the lead"),
    Step.REJECT: ("Give this lead back to marketing?", "I do not want it", "Give it back"),
    Step.QUALIFY: ("Is it an opportunity?", "It is an opportunity", "Qualify"),
    Step.WIN: ("Is the deal won?", "The deal is won", "Won"),
    Step.LOSE: ("Is the deal lost?", "The deal is lost", "Lost"),
    Step.OBJECTION: ("What do they hold against it?", "They said so", "Note it"),
    Step.STORY: ("What does the customer tell?", "They may be quoted within the company", "Note it"),
}
_DONE = {
    Step.ACCEPT: "The lead is yours.",
    Step.REJECT: "Marketing has the lead back.",
    Step.QUALIFY: "It is an opportunity.",
    Step.WIN: "The deal is won.",
    Step.LOSE: "The deal is noted as lost.",
    Step.OBJECTION: "The objection is noted.",
    Step.STORY: "The story is noted.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks. `about` says which lead; `wrong` what was wrong with the answer before, which was `given`."""

    step: Step
    rep: str
    about: str
    reasons: Sequence[str] = ()
    wrong: str = ""
    given: Mapping[str, str] = field(default_factory=dict)


def ask(question: Question) -> str:
    """Return the page that asks."""
    title, sure, button = _QUESTIONS[question.step]
    wrong = f'<p class="wrong" role="alert">{escape(question.wrong)}</p>' if question.wrong else ""
    hint = '<p class="hint">Opening this page has changed nothing. Only the button below does, and only once.</p>'
    return _page(
        title,
        f'<p class="about">{escape(question.about)}</p>{hint}{wrong}<form method="post">{_fields(question)}'
        # Some scanners send every form that they find; they do not tick what is not ticked.
        f'<label class="sure"><input type="checkbox" name="sure" value="yes" required><span>'
        f"{escape(sure)}{escape(f', as {question.rep}' if question.rep else '')}</span></label>"
        f'<button type="submit">{escape(button)}</button></form>',
    )


def done(step: Step) -> str:
    """Return the page that says that the answer was taken."""
    return _page("Thank you", f"<p>{escape(_DONE[step])}</p>")


def tell(title: str, message: str) -> str:
    """Return a page that only tells something."""
    return _page(title, f"<p>{escape(message)}</p>")


def headers() -> dict[str, str]:
    """Return the headers of every page: nothing is loaded, framed, kept or passed on."""
    style = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
    }


def _fields(question: Question) -> str:
    note = _area(question, "note", "Note", required=question.step is Step.STORY)
    match question.step:
        case Step.REJECT:
            objection = _line(question, "objection", "What they hold against it")
            return f"{_choice(question, 'reason', 'Why')}{objection}{note}"
        case Step.WIN:
            amount = _line(question, "amount", "Amount, as 1200.50", keyboard="decimal")
            return f"{amount}{_line(question, 'currency', 'Currency, as EUR')}{note}"
        case Step.LOSE:
            objection = _line(question, "objection", "What they held against it")
            return f"{_line(question, 'reason', 'Why')}{objection}{note}"
        case Step.OBJECTION:
            return f"{_line(question, 'objection', 'Objection', required=True)}{note}"
        case _:
            return note


def _choice(question: Question, name: str, label: str) -> str:
    chosen = question.given.get(name)
    options = "".join(
        f'<option value="{escape(reason)}"{" selected" if reason == chosen else ""}>'
        f"{escape(reason.replace('_', ' '))}</option>"
        for reason in question.reasons
    )
    choice = f'<select id="{name}" name="{name}" required><option value="">Choose…</option>{options}</select>'
    return f"{_label(name, label, required=True)}{choice}"


def _line(question: Question, name: str, label: str, *, required: bool = False, keyboard: str = "text") -> str:
    must = " required" if required else ""
    return (
        f'{_label(name, label, required=required)}<input type="text" id="{name}" name="{name}" maxlength="500" '
        f'inputmode="{keyboard}" autocomplete="off" value="{escape(question.given.get(name, ""))}"{must}>'
    )


def _area(question: Question, name: str, label: str, *, required: bool = False) -> str:
    must = " required" if required else ""
    return (
        f'{_label(name, label, required=required)}<textarea id="{name}" name="{name}" rows="3" maxlength="5000"{must}>'
        # The parser drops one line break at the beginning.
        f"\n{escape(question.given.get(name, ''))}</textarea>"
    )


def _label(name: str, label: str, *, required: bool) -> str:
    return f'<label for="{name}">{escape(label)}{"" if required else " <span>(optional)</span>"}</label>'


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )

"""The page behind a link: it asks, and its form answers. No script, nothing from elsewhere."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from services.router.domain.handoff import Step

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c2430}"
    "main{max-width:32rem;margin:8vh auto;padding:2rem;background:#fff;border-radius:8px;"
    "box-shadow:0 1px 4px rgba(0,0,0,.15)}"
    "h1{font-size:1.35rem;margin:0 0 .75rem}"
    "label{display:block;margin:1rem 0 .25rem;font-weight:600}"
    "label.sure{font-weight:400}"
    "input[type=text],select,textarea{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;"
    "border:1px solid #98a2b3;border-radius:4px}"
    "button{margin-top:1.25rem;font:inherit;padding:.6rem 1.4rem;border:0;border-radius:4px;background:#14532d;"
    "color:#fff;cursor:pointer}"
    ".wrong{color:#991b1b}"
    ".about{color:#475467}"
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
    """What a page asks. `about` says which lead; `wrong` what was wrong with the answer before."""

    step: Step
    rep: str
    about: str
    reasons: Sequence[str] = ()
    wrong: str = ""


def ask(question: Question) -> str:
    """Return the page that asks."""
    title, sure, button = _QUESTIONS[question.step]
    wrong = f'<p class="wrong">{escape(question.wrong)}</p>' if question.wrong else ""
    return _page(
        title,
        f'<p class="about">{escape(question.about)}</p>{wrong}'
        f'<form method="post">{_fields(question)}'
        # Some scanners send every form that they find; they do not tick what is not ticked.
        f'<label class="sure"><input type="checkbox" name="sure" value="yes" required> {escape(sure)}'
        f"{escape(f', as {question.rep}' if question.rep else '')}</label>"
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
    note = _area("note", "Note", required=question.step is Step.STORY)
    match question.step:
        case Step.REJECT:
            options = "".join(
                f'<option value="{escape(reason)}">{escape(reason.replace("_", " "))}</option>'
                for reason in question.reasons
            )
            chosen = f'<select id="reason" name="reason" required><option value="">Choose…</option>{options}</select>'
            return f'<label for="reason">Why</label>{chosen}{_line("objection", "What they hold against it")}{note}'
        case Step.WIN:
            return f"{_line('amount', 'Amount, as 1200.50')}{_line('currency', 'Currency, as EUR')}{note}"
        case Step.LOSE:
            return f"{_line('reason', 'Why')}{_line('objection', 'What they held against it')}{note}"
        case Step.OBJECTION:
            return f"{_line('objection', 'Objection', required=True)}{note}"
        case _:
            return note


def _line(name: str, label: str, *, required: bool = False) -> str:
    must = " required" if required else ""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input type="text" id="{name}" name="{name}" maxlength="500" autocomplete="off"{must}>'
    )


def _area(name: str, label: str, *, required: bool = False) -> str:
    must = " required" if required else ""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<textarea id="{name}" name="{name}" rows="3" maxlength="5000"{must}></textarea>'
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )

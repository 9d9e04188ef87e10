"""What a contact did, in words."""

from shared.events.handoff import TouchSummary


def touch_words(touch: TouchSummary) -> str:
    """Say what was done: `viewed Pricing (/pricing)`, `Form Submitted on /demo`."""
    match touch.type:
        case "page":
            page = touch.title or touch.name or touch.path or "a page"
            return f"viewed {page}" + (f" ({touch.path})" if touch.path and touch.path != page else "")
        case "screen":
            return f"opened {touch.name or 'a screen'}"
        case _:
            return (touch.name or touch.type) + (f" on {touch.path}" if touch.path else "")

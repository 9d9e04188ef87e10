"""The events that Tandem knows by name: Segment's own names where Segment has one.

Any other name counts just as well: an agreement may have a rule for it. `docs/events.md` lists these, and a JSON Schema
of each is served; both are made from here.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from shared.events.touch import ACTIONS, Touch, TouchType
from shared.events.vocabulary_properties import (
    ACCOUNT,
    ACCOUNT_USER,
    COUPON,
    FORM,
    INVITATION,
    MAIL,
    MAIL_LINK,
    MAIL_LIST,
    MAIL_OPEN,
    MEETING,
    ORDER,
    PAGE,
    PRODUCT,
    PRODUCT_LIST,
    PROMOTION,
    SCREEN,
    SEARCH,
    SHARING,
    SIGN_IN,
    SIGN_UP,
    TRIAL,
    Property,
)

EMAIL_SENT = "Email Sent"
EMAIL_DEFERRED = "Email Deferred"
EMAIL_DROPPED = "Email Dropped"
EMAIL_DELIVERED = "Email Delivered"
EMAIL_OPENED = "Email Opened"
EMAIL_LINK_CLICKED = "Email Link Clicked"
EMAIL_BOUNCED = "Email Bounced"
EMAIL_ANSWERED_AUTOMATICALLY = "Email Answered Automatically"
EMAIL_REACTIVATED = "Email Reactivated"
EMAIL_MARKED_AS_SPAM = "Email Marked as Spam"
UNSUBSCRIBED = "Unsubscribed"
RESUBSCRIBED = "Resubscribed"
FORM_SUBMITTED = "Form Submitted"


class Effect(StrEnum):
    """What an event does besides counting for the rules that it meets."""

    OPT_OUT = "opt-out"
    OPT_IN = "opt-in"


class KnownEvent(NamedTuple):
    """An event with a name of its own."""

    name: str
    group: str
    meaning: str
    properties: tuple[Property, ...] = ()
    type: TouchType = TouchType.TRACK
    effect: Effect | None = None
    done_to: bool = False  # done to the contact, not by it

    @property
    def slug(self) -> str:
        """The name as it stands in an address: `email-link-clicked`."""
        return self.name.lower().replace(" ", "-")


def _events(group: str, *rows: tuple[str, str, tuple[Property, ...]]) -> Iterator[KnownEvent]:
    for name, meaning, properties in rows:
        yield KnownEvent(
            name, group, meaning, properties, effect=_EFFECTS.get(name), done_to=name.lower() in DONE_TO_CONTACTS
        )


_EFFECTS = {
    EMAIL_MARKED_AS_SPAM: Effect.OPT_OUT,
    UNSUBSCRIBED: Effect.OPT_OUT,
    RESUBSCRIBED: Effect.OPT_IN,
}

# What a sender reports of its own messages over any channel. It happens to whoever is on a list.
_CHANNELS = ("email", "sms", "push", "in app", "whatsapp")
_SENDING = (
    *("drafted", "attempted", "processed", "sent", "delivered", "deferred", "dropped", "suppressed"),
    *("bounced", "failed", "undeliverable"),
)

# Names in lower case, as they are compared. Such an event is kept and meets rules like any other, but it is no sign
# that the contact is interested: it is none of the touches that an agreement asks for.
DONE_TO_CONTACTS = frozenset(
    {
        *(f"{channel} {step}" for channel in _CHANNELS for step in _SENDING),
        EMAIL_ANSWERED_AUTOMATICALLY.lower(),
        EMAIL_REACTIVATED.lower(),
        "account added user",
        "account removed user",
        "trial ended",
        "order refunded",
    }
)

VOCABULARY: tuple[KnownEvent, ...] = (
    KnownEvent("Page", "Pages", "A page was viewed: a `page` call, by whatever name.", PAGE, TouchType.PAGE),
    KnownEvent("Screen", "Pages", "A screen of an app was viewed: a `screen` call.", SCREEN, TouchType.SCREEN),
    *_events(
        "Mail",
        (EMAIL_SENT, "The mail was handed to the platform that sends it. Not in Segment's specification.", MAIL),
        (EMAIL_DEFERRED, "The recipient's server wants it later. Not in Segment's specification.", MAIL),
        (EMAIL_DROPPED, "The platform did not send it. Not in Segment's specification.", MAIL),
        (EMAIL_DELIVERED, "The recipient's server took the mail.", MAIL),
        (EMAIL_OPENED, "The mail was opened, or its pictures were loaded.", MAIL_OPEN),
        (EMAIL_LINK_CLICKED, "A link in the mail was followed.", MAIL_LINK),
        (EMAIL_BOUNCED, "The mail could not be delivered.", MAIL),
        (EMAIL_ANSWERED_AUTOMATICALLY, "A machine of the recipient's answered. Not in Segment's specification.", MAIL),
        (EMAIL_REACTIVATED, "The sender lifted a block, which is no opt-in. Not in Segment's specification.", MAIL),
        (EMAIL_MARKED_AS_SPAM, "The recipient called the mail spam.", MAIL),
        (UNSUBSCRIBED, "The recipient wants no more mail.", MAIL_LIST),
        (RESUBSCRIBED, "The recipient wants mail again. Not in Segment's specification.", MAIL_LIST),
    ),
    *_events(
        "Forms and meetings",
        (FORM_SUBMITTED, "A form was sent. Not in Segment's specification.", FORM),
        ("Meeting Booked", "A conversation was booked. Not in Segment's specification.", MEETING),
        ("Webinar Attended", "A webinar was attended. Not in Segment's specification.", MEETING),
    ),
    *_events(
        "Accounts (B2B)",
        ("Account Created", "An account was opened.", ACCOUNT),
        ("Account Deleted", "An account was closed.", ACCOUNT),
        ("Account Added User", "A person was added to an account.", ACCOUNT_USER),
        ("Account Removed User", "A person was removed from an account.", ()),
        ("Invite Sent", "A person invited another.", INVITATION),
        ("Signed Up", "A person signed up.", SIGN_UP),
        ("Signed In", "A person signed in.", SIGN_IN),
        ("Signed Out", "A person signed out.", SIGN_IN),
        ("Trial Started", "A trial began.", TRIAL),
        ("Trial Ended", "A trial ended.", TRIAL),
    ),
    *_events(
        "Products and orders",
        ("Products Searched", "Products were searched for.", SEARCH),
        ("Product List Viewed", "A list of products was viewed.", PRODUCT_LIST),
        ("Product List Filtered", "A list of products was narrowed down.", PRODUCT_LIST),
        ("Promotion Viewed", "A promotion was seen.", PROMOTION),
        ("Promotion Clicked", "A promotion was followed.", PROMOTION),
        ("Product Clicked", "A product was chosen from a list.", PRODUCT),
        ("Product Viewed", "A product was viewed.", PRODUCT),
        ("Product Added", "A product was put into the cart.", PRODUCT),
        ("Product Removed", "A product was taken out of the cart.", PRODUCT),
        ("Cart Viewed", "The cart was viewed.", ORDER),
        ("Checkout Started", "The checkout was begun.", ORDER),
        ("Checkout Step Viewed", "A step of the checkout was seen.", ORDER),
        ("Checkout Step Completed", "A step of the checkout was done.", ORDER),
        ("Payment Info Entered", "How to pay was entered.", ORDER),
        ("Order Completed", "An order was placed.", ORDER),
        ("Order Updated", "An order was changed.", ORDER),
        ("Order Refunded", "An order was paid back.", ORDER),
        ("Order Cancelled", "An order was called off.", ORDER),
        ("Coupon Entered", "A coupon was entered.", COUPON),
        ("Coupon Applied", "A coupon was taken.", COUPON),
        ("Coupon Denied", "A coupon was refused.", COUPON),
        ("Coupon Removed", "A coupon was taken back.", COUPON),
        ("Product Added to Wishlist", "A product was put on the wish list.", PRODUCT),
        ("Product Removed from Wishlist", "A product was taken off the wish list.", PRODUCT),
        ("Wishlist Product Added to Cart", "A product went from the wish list to the cart.", PRODUCT),
        ("Product Shared", "A product was shared.", SHARING),
        ("Cart Shared", "The cart was shared.", SHARING),
        ("Product Reviewed", "A product was reviewed.", PRODUCT),
    ),
)


def names_with(effect: Effect) -> frozenset[str]:
    """Return the names of the events with the effect, in lower case: they are heeded however they are written."""
    return frozenset(event.name.lower() for event in VOCABULARY if event.effect is effect)


def is_own_doing(touch: Touch) -> bool:
    """Tell whether the contact did something, instead of being told about or having it done to it."""
    if touch.type is TouchType.TRACK:
        return touch.name.strip().lower() not in DONE_TO_CONTACTS
    return touch.type in ACTIONS

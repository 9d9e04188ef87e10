"""The properties that the events of the vocabulary have, each with its type, its unit and what Tandem reads of it."""

from enum import StrEnum
from typing import NamedTuple


class PropertyType(StrEnum):
    """What a property holds. Numbers are read as text where text is expected."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    FLAG = "true or false"
    INSTANT = "ISO 8601 instant"
    URL = "URL"
    LIST = "list of objects"


class Read(StrEnum):
    """What Tandem itself reads of a property; all of them are kept with the touch, and rules may ask for each."""

    CAMPAIGN = "campaign"
    IDENTITY = "identity"
    PAGE = "page"
    SUSPECT = "suspect"


class Property(NamedTuple):
    """One property of an event."""

    name: str
    type: PropertyType
    meaning: str
    unit: str = ""
    read: Read | None = None


_TEXT, _URL = PropertyType.TEXT, PropertyType.URL

MAIL = (
    Property("email_id", _TEXT, "The mailing, or the mail."),
    Property("email_subject", _TEXT, "The subject line."),
    Property("campaign_id", _TEXT, "The campaign; counts as its name where it has none.", read=Read.CAMPAIGN),
    Property("campaign_name", _TEXT, "The name of the campaign.", read=Read.CAMPAIGN),
)
MAIL_OPEN = (
    *MAIL,
    Property(
        "prefetched", PropertyType.FLAG, "The provider says that a machine loaded the pictures.", read=Read.SUSPECT
    ),
)
MAIL_LINK = (
    *MAIL,
    Property("link_id", _TEXT, "The link."),
    Property("link_url", _URL, "Where the link leads.", read=Read.SUSPECT),
)
MAIL_LIST = (
    *MAIL,
    Property("list_id", _TEXT, "The list."),
    Property("list_name", _TEXT, "The name of the list."),
)

SCREEN = (
    Property("name", _TEXT, "The name, where the call has none.", read=Read.PAGE),
    Property("category", _TEXT, "What kind it is."),
)
PAGE = (
    *SCREEN,
    Property("path", _TEXT, "The path of the address.", read=Read.PAGE),
    Property("url", _URL, "The whole address; its `utm_` parameters name the campaign.", read=Read.CAMPAIGN),
    Property("title", _TEXT, "The title.", read=Read.PAGE),
    Property("referrer", _URL, "Where the visitor came from.", read=Read.PAGE),
    Property("search", _TEXT, "The query of the address."),
    Property("keywords", PropertyType.LIST, "What it is about."),
)

FORM = (
    Property("form", _TEXT, "Which form it was, such as `demo`."),
    Property("email", _TEXT, "Who filled it in, where no user is named.", read=Read.IDENTITY),
    Property("message", _TEXT, "What they wrote."),
)
MEETING = (Property("title", _TEXT, "What it was about.", read=Read.PAGE),)

ACCOUNT = (Property("account_name", _TEXT, "The name of the account."),)
ACCOUNT_USER = (Property("role", _TEXT, "What the person may do."),)
INVITATION = (
    Property("invitee_email", _TEXT, "The address of who was invited."),
    Property("invitee_first_name", _TEXT, "Their first name."),
    Property("invitee_last_name", _TEXT, "Their last name."),
    Property("invitee_role", _TEXT, "What they may do."),
)
SIGN_IN = (Property("username", _TEXT, "The name that they sign in with."),)
SIGN_UP = (
    Property("type", _TEXT, "How it came about, such as `organic` or `invited`."),
    Property("email", _TEXT, "Who it is, where no user is named.", read=Read.IDENTITY),
    Property("first_name", _TEXT, "The first name."),
    Property("last_name", _TEXT, "The last name."),
    Property("phone", _TEXT, "The telephone number."),
    Property("username", _TEXT, "The name that they sign in with."),
    Property("title", _TEXT, "How to address them."),
)
TRIAL = (
    Property("trial_start_date", PropertyType.INSTANT, "When it begins."),
    Property("trial_end_date", PropertyType.INSTANT, "When it ends."),
    Property("trial_plan_name", _TEXT, "The plan that is tried."),
)

SEARCH = (Property("query", _TEXT, "What was searched for."),)
_MONEY = "in `currency`"
_CURRENCY = Property("currency", _TEXT, "The currency.", unit="ISO 4217")
_PRODUCTS = Property("products", PropertyType.LIST, "The products, each with the properties of one.")
PRODUCT = (
    Property("product_id", _TEXT, "The product."),
    Property("sku", _TEXT, "Its number in the stock."),
    Property("name", _TEXT, "Its name."),
    Property("category", _TEXT, "What kind it is."),
    Property("brand", _TEXT, "Its brand."),
    Property("variant", _TEXT, "Its variant."),
    Property("price", PropertyType.NUMBER, "The price of one.", unit=_MONEY),
    Property("quantity", PropertyType.NUMBER, "How many.", unit="pieces"),
    Property("coupon", _TEXT, "The coupon for it."),
    Property("position", PropertyType.INTEGER, "Its place in the list.", unit="from 1"),
    _CURRENCY,
    Property("url", _URL, "The address of its page.", read=Read.PAGE),
    Property("image_url", _URL, "Its picture."),
)
PRODUCT_LIST = (
    Property("list_id", _TEXT, "The list."),
    Property("category", _TEXT, "What kind of products it holds."),
    _PRODUCTS,
)
PROMOTION = (
    Property("promotion_id", _TEXT, "The promotion."),
    Property("creative", _TEXT, "The picture or text."),
    Property("name", _TEXT, "The name of the promotion."),
    Property("position", _TEXT, "Where it stood."),
)
ORDER = (
    Property("order_id", _TEXT, "The order."),
    Property("checkout_id", _TEXT, "The checkout."),
    Property("cart_id", _TEXT, "The cart."),
    Property("step", PropertyType.INTEGER, "The step of the checkout.", unit="from 1"),
    Property("total", PropertyType.NUMBER, "All in all.", unit=_MONEY),
    Property("revenue", PropertyType.NUMBER, "Without shipping and tax.", unit=_MONEY),
    Property("shipping", PropertyType.NUMBER, "For shipping.", unit=_MONEY),
    Property("tax", PropertyType.NUMBER, "For tax.", unit=_MONEY),
    Property("discount", PropertyType.NUMBER, "What was taken off.", unit=_MONEY),
    Property("coupon", _TEXT, "The coupon."),
    _CURRENCY,
    _PRODUCTS,
)
COUPON = (
    Property("order_id", _TEXT, "The order."),
    Property("cart_id", _TEXT, "The cart."),
    Property("coupon_id", _TEXT, "The coupon."),
    Property("coupon_name", _TEXT, "The name of the coupon."),
    Property("discount", PropertyType.NUMBER, "What it takes off.", unit=_MONEY),
    Property("reason", _TEXT, "Why it was refused."),
)
SHARING = (
    Property("share_via", _TEXT, "How it was shared."),
    Property("share_message", _TEXT, "What was said with it."),
    Property("recipient", _TEXT, "With whom it was shared."),
    *PRODUCT[:4],
)

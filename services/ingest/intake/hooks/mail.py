"""What happens to mail, by the names of the vocabulary; and the steps of a mail that are not in it."""

from shared.events import vocabulary

DELIVERED = vocabulary.EMAIL_DELIVERED
OPENED = vocabulary.EMAIL_OPENED
CLICKED = vocabulary.EMAIL_LINK_CLICKED
BOUNCED = vocabulary.EMAIL_BOUNCED
SPAM = vocabulary.EMAIL_MARKED_AS_SPAM
UNSUBSCRIBED = vocabulary.UNSUBSCRIBED
RESUBSCRIBED = vocabulary.RESUBSCRIBED

SENT = "Email Sent"
DEFERRED = "Email Deferred"
DROPPED = "Email Dropped"

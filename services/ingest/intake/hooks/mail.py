"""What happens to mail, by the names of the vocabulary."""

from shared.events import vocabulary

DELIVERED = vocabulary.EMAIL_DELIVERED
OPENED = vocabulary.EMAIL_OPENED
CLICKED = vocabulary.EMAIL_LINK_CLICKED
BOUNCED = vocabulary.EMAIL_BOUNCED
SPAM = vocabulary.EMAIL_MARKED_AS_SPAM
UNSUBSCRIBED = vocabulary.UNSUBSCRIBED
RESUBSCRIBED = vocabulary.RESUBSCRIBED

SENT = vocabulary.EMAIL_SENT
DEFERRED = vocabulary.EMAIL_DEFERRED
DROPPED = vocabulary.EMAIL_DROPPED
ANSWERED_AUTOMATICALLY = vocabulary.EMAIL_ANSWERED_AUTOMATICALLY
REACTIVATED = vocabulary.EMAIL_REACTIVATED

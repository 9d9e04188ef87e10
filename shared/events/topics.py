"""The topics, each declared once."""

from enum import StrEnum


class TopicName(StrEnum):
    """What flows where, and what the key is."""

    EVENTS_WEB = "events.web"  # raw accepted requests of web sources; no key
    EVENTS_CAMPAIGN = "events.campaign"  # raw accepted requests of campaign sources; no key
    EVENTS_REJECTED = "events.rejected"  # what could not be understood, with the reason; no key
    TOUCHES = "touches"  # understood touches; partitioned by contact id
    CONTACTS = "contacts"  # merges, merges undone, erasures; key = the contact that is no longer of its own
    HANDOFFS = "handoffs"  # sales-ready contacts and opt-outs; key = contact id
    NURTURE = "nurture"  # contacts for marketing to keep helping; key = contact id
    FEEDBACK = "feedback"  # what became of handoffs; key = contact id

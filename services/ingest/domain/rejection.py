"""Why something sent to Tandem is not understood, each reason with its meaning."""

import msgspec

from services.ingest.domain.coded import Coded


class Reason(Coded):
    """Why an event lies in `events.rejected` instead of counting; the code never changes its meaning."""

    INVALID_JSON = "invalid_json", "It is not JSON in UTF-8."
    NOT_AN_OBJECT = "not_an_object", "It is JSON, but not an object."
    WRONG_TYPE = "wrong_type", "A field holds another type than it may, or a number that is out of range."
    EMPTY_BATCH = "empty_batch", "Its batch holds no events."
    UNKNOWN_TYPE = "unknown_type", "Its type is not one of track, page, screen, identify, group and alias."
    NO_EVENT_NAME = "no_event_name", "It is a track call without the name of an event."
    NO_IDENTIFIER = "no_identifier", "Nothing in it names a contact; placeholders such as `null` name nobody."
    BAD_TIMESTAMP = "bad_timestamp", "Its time is not one in the form of its protocol."
    EVENT_TOO_LARGE = "event_too_large", "It is larger than TANDEM_MAX_EVENT_BYTES."
    TOO_DEEP = "too_deep", "Its objects and lists are nested too deeply."
    NUL_CHARACTER = "nul_character", "A text in it holds the character NUL, which PostgreSQL cannot keep."
    MISSING_ATTRIBUTE = "missing_attribute", "It is a CloudEvent without id, source, type or specversion."
    UNSUPPORTED_VERSION = "unsupported_version", "It is a CloudEvent of another version than 1.0."
    DATA_NOT_AN_OBJECT = "data_not_an_object", "It is a CloudEvent whose data is not a JSON object."
    NO_CONSENT = "no_consent", "Its source requires consent and it carries none; its bytes are not kept."
    SOURCE_DISABLED = "source_disabled", "It is a webhook that came while its source was disabled."
    SKIPPED = "skipped", "It is a provider's event that tells nothing of a contact, such as one about a list."
    NOT_MAPPED = "not_mapped", "The mapping of its source makes no event of it."
    UNREADABLE = "unreadable", "Kafka keeps it, at the place named, but its headers cannot be read."
    UNPROCESSABLE = "unprocessable", "Tandem failed on it; the log of the process says how."


class Refused(Exception):
    """Raised where something cannot be understood: `reason` for machines, the message says what would be right."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Rejection(msgspec.Struct, frozen=True):
    """One thing that is not understood, with its own bytes."""

    reason: Reason
    message: str
    original: bytes
    item: int | None = None  # index within the batch; None when the whole record is meant
    # What stands around the item for it to be read alone, under the same intake, as it was read among its neighbours.
    frame: tuple[bytes, bytes] = (b"", b"")

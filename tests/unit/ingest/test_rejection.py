"""Rejections, and what is kept of them."""

import re
from pathlib import Path

from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.record import origin_of
from services.ingest.packing import pack_rejection
from services.ingest.settings import IngestSettings
from shared.events.rejected import MAX_ORIGINAL_BYTES, decode_rejected
from shared.log.placement import MAX_RECORD_BYTES, record_bytes
from tests.unit.ingest.reading import RECEIVED_AT

PAGE = Path(__file__).resolve().parents[3] / "docs" / "events.md"
ORIGIN = origin_of({}, topic="events.web", partition=1, offset=2, appended_at=RECEIVED_AT, now=RECEIVED_AT)


def test_reasons_in_the_document() -> None:
    """The page lists each reason with its meaning, and no other."""
    table = PAGE.read_text().split("| reason | meaning |")[1]
    listed = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)

    assert listed == [(str(reason), reason.meaning) for reason in Reason]


def test_limits_in_the_document() -> None:
    """The page tells the defaults that there are."""
    listed = re.findall(r"^\| [^|]+ \| ([^|]+) \| `TANDEM_(\w+)` \|", PAGE.read_text(), flags=re.MULTILINE)
    defaults = {name: IngestSettings.model_fields[name.lower()].default for _, name in listed}

    assert {name: shown for shown, name in listed} == {
        "MAX_BODY_BYTES": f"{defaults['MAX_BODY_BYTES']:,} bytes",
        "MAX_BATCH_EVENTS": f"{defaults['MAX_BATCH_EVENTS']:,}",
        "SOURCE_RATE": "none" if defaults["SOURCE_RATE"] is None else "",
        "SOURCE_DAILY_QUOTA": "none" if defaults["SOURCE_DAILY_QUOTA"] is None else "",
        "BODY_TIMEOUT": f"{defaults['BODY_TIMEOUT'].total_seconds():.0f} seconds",
        "MAX_REQUESTS_IN_FLIGHT": f"{defaults['MAX_REQUESTS_IN_FLIGHT']:,}",
        "MAX_BYTES_IN_FLIGHT": f"{defaults['MAX_BYTES_IN_FLIGHT']:,} bytes",
        "MAX_EVENT_BYTES": f"{defaults['MAX_EVENT_BYTES']:,} bytes",
        "ALLOWED_SKEW": f"{defaults['ALLOWED_SKEW'].total_seconds() / 60:.0f} minutes",
    }


def test_what_is_kept() -> None:
    """Reason, place, bytes and headers, under an id that a repeat has, too."""
    rejection = Rejection(Reason.NO_IDENTIFIER, "Send one.", b"\xff\x00", 4)
    record = pack_rejection(rejection, ORIGIN, {"tandem-source": "website"})
    kept = decode_rejected(record.value)

    assert (kept.topic, kept.partition, kept.offset, kept.item) == ("events.web", 1, 2, 4)
    assert (kept.reason, kept.message, kept.original) == ("no_identifier", "Send one.", b"\xff\x00")
    assert kept.headers == {"tandem-source": "website"}
    assert kept.at == RECEIVED_AT
    assert record == pack_rejection(rejection, ORIGIN, {"tandem-source": "website"})
    assert record.headers == (("tandem-id", str(kept.id).encode()),)


def test_items_of_one_record() -> None:
    """Each rejection has an id of its own, also the whole record's."""
    ids = {
        decode_rejected(pack_rejection(Rejection(Reason.TOO_DEEP, "", b"", item), ORIGIN, {}).value).id
        for item in (None, 0, 1)
    }

    assert len(ids) == 3


def test_a_record_that_the_log_would_not_take_back() -> None:
    """Its beginning is kept, and where to find the rest."""
    rejection = Rejection(Reason.INVALID_JSON, "Bad.", b"x" * (MAX_ORIGINAL_BYTES * 2))
    record = pack_rejection(rejection, ORIGIN, {f"header-{number}": "y" * 5000 for number in range(500)})

    assert record_bytes(record) < MAX_RECORD_BYTES
    assert len(decode_rejected(record.value).original) == MAX_ORIGINAL_BYTES
    assert "events.web/1@2" in decode_rejected(record.value).message

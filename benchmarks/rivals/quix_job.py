"""The job on quixstreams: sums kept in RocksDB with a changelog, a sink that upserts in batches and may keep history.

`benchmarks.scorer` runs it, and tells it in its environment what it needs to know.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import psycopg
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch
from quixstreams.state import State

from benchmarks.rivals.sums import UPSERT, WITHIN, add, by_contact, setting
from shared.events.touch import Touch, decode_touches

HISTORY = setting("HISTORY") == "kept"
# Who may get a touch twice keeps it once.
KEEP = """
    INSERT INTO public.{table}_touch (contact_id, id, occurred_at, received_at, payload)
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[], %b::timestamptz[], %b::bytea[])
    ON CONFLICT DO NOTHING
"""

Row = tuple[UUID, UUID, datetime, datetime, bytes]  # of the history
Scored = tuple[list[tuple[UUID, bytes]], list[Row]]  # sums by contact; what the history keeps


_payloads = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Upsert(BatchingSink):
    """Writes the newest sums of each contact of a batch, before the batch's offsets are committed."""

    def setup(self) -> None:
        """Connect."""
        self._connection = psycopg.connect(setting("DATABASE"), autocommit=True)
        # Binary: as text, which is usual, a contact takes 13 µs more.
        self._upsert = UPSERT.format(table=setting("TABLE"), ids="%b", sums="%b")
        self._keep = KEEP.format(table=setting("TABLE"))

    def write(self, batch: SinkBatch) -> None:
        """Upsert the batch."""
        scored: list[Scored] = [item.value for item in batch]
        newest = {contact: sums for changed, _ in scored for contact, sums in changed}
        ids = sorted(newest)
        with self._connection.transaction():
            if kept := sorted(row for _, kept in scored for row in kept):
                self._connection.execute(self._keep, [list(column) for column in zip(*kept, strict=True)])
            self._connection.execute(self._upsert, (ids, [newest[contact] for contact in ids]))


def score(record: bytes, state: State) -> Scored:
    """Add up and remember."""
    changed = []
    touches = decode_touches(record)
    for contact, told in by_contact(touches).items():
        sums = add(state.get_bytes(contact.hex), told)
        state.set_bytes(contact.hex, sums)
        changed.append((contact, sums))
    return changed, rows(record, touches) if HISTORY else []


def rows(record: bytes, touches: Sequence[Touch]) -> list[Row]:
    """Return what the history keeps of a record that holds these touches."""
    return [
        (touch.contact_id, touch.id, touch.occurred_at, touch.received_at, bytes(payload))
        for touch, payload in zip(touches, _payloads(record), strict=True)
    ]


def main() -> None:
    """Run until killed."""
    app = Application(
        broker_address=setting("KAFKA"),
        consumer_group=setting("GROUP"),
        auto_offset_reset="earliest",
        state_dir=setting("DIRECTORY"),
        commit_interval=WITHIN,
        processing_guarantee="at-least-once",
        loglevel="WARNING",
    )
    # A packed record has the key of its partition, so the state of its contacts is found under that.
    touches = app.topic(setting("TOPIC"), key_deserializer="bytes", value_deserializer="bytes")
    frame = app.dataframe(touches)
    frame = frame.apply(score, stateful=True)
    frame.sink(Upsert())
    app.run()


if __name__ == "__main__":
    main()

"""The job on quixstreams: sums kept in RocksDB with a changelog, and a sink that upserts in batches.

`benchmarks.scorer` runs it, and tells it in its environment what it needs to know.
"""

from uuid import UUID

import psycopg
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch
from quixstreams.state import State

from benchmarks.rivals.sums import UPSERT, WITHIN, add, by_contact, setting


class Upsert(BatchingSink):
    """Writes the newest sums of each contact of a batch, before the batch's offsets are committed."""

    def setup(self) -> None:
        """Connect."""
        self._connection = psycopg.connect(setting("DATABASE"), autocommit=True)
        self._statement = UPSERT.format(table=setting("TABLE"), ids="%s", sums="%s")

    def write(self, batch: SinkBatch) -> None:
        """Upsert the batch."""
        newest = {contact: sums for item in batch for contact, sums in item.value}
        ids = sorted(newest)
        self._connection.execute(self._statement, (ids, [newest[contact] for contact in ids]))


def score(record: bytes, state: State) -> list[tuple[UUID, bytes]]:
    """Add up and remember."""
    changed = []
    for contact, told in by_contact([record]).items():
        sums = add(state.get_bytes(contact.hex), told)
        state.set_bytes(contact.hex, sums)
        changed.append((contact, sums))
    return changed


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

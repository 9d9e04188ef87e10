"""The job on faust-streaming: an agent that takes records in batches, a table with a changelog, asyncpg for upserts.

`benchmarks.scorer` runs it, and tells it in its environment what it needs to know.
"""

import sys
from itertools import chain

import asyncpg
import faust

from benchmarks.rivals.sums import BATCH, UPSERT, WITHIN, add, by_contact, setting
from shared.events.touch import decode_touches

RECORDS = max(1, BATCH // int(setting("TOUCHES")))  # of so many touches each

app = faust.App(
    setting("GROUP"),
    broker=f"kafka://{setting('KAFKA')}",
    store="memory://",
    datadir=setting("DIRECTORY"),
    value_serializer="raw",
    key_serializer="raw",
    topic_partitions=int(setting("PARTITIONS")),
    topic_replication_factor=1,
    topic_disable_leader=True,
    web_enabled=False,
    stream_wait_empty=False,
    consumer_auto_offset_reset="earliest",
    broker_commit_every=10_000,
)
touches = app.topic(setting("TOPIC"), value_type=bytes)
# A record holds touches of several contacts: a key finds its partition by itself, not by that of the record.
sums = app.Table("sums", key_type=bytes, value_type=bytes, use_partitioner=True)
pools: list[asyncpg.Pool] = []


@app.agent(touches)
async def score(stream: faust.Stream[bytes]) -> None:
    """Add up, remember in the table, write to PostgreSQL."""
    statement = UPSERT.format(table=setting("TABLE"), ids="$1", sums="$2")
    async for records in stream.take(RECORDS, within=WITHIN):
        changed = {}
        for contact, told in by_contact(chain.from_iterable(map(decode_touches, records))).items():
            key = contact.bytes
            sums[key] = changed[contact] = add(sums.get(key), told)
        if not pools:
            pools.append(await asyncpg.create_pool(setting("DATABASE"), min_size=1, max_size=2))
        ids = sorted(changed)
        await pools[0].execute(statement, ids, [changed[contact] for contact in ids])


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--loglevel=WARN", "--without-web"]
    app.main()

"""The tables of the log on PostgreSQL.

Offsets are gapless because an append holds the head rows of its partitions until it commits: offsets become visible in
the order in which they were given. A reader that sees offset n therefore sees everything before it, too.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

SCHEMA = "log"
APPENDED_CHANNEL = "log_appended"  # payload: the ids of the topics, separated by spaces
MEMBERS_CHANNEL = "log_members"  # payload: the advisory lock class of the group whose members changed

metadata = MetaData(schema=SCHEMA)

topic = Table(
    "topic",
    metadata,
    Column("id", SmallInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("partitions", Integer, nullable=False),
    Column("retention_hours", Integer, nullable=False),
)

head = Table(
    "head",
    metadata,
    Column("topic_id", SmallInteger, ForeignKey(topic.c.id, ondelete="CASCADE"), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("earliest", BigInteger, nullable=False, server_default="0"),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
    postgresql_with={"fillfactor": 50},
)

record = Table(
    "record",
    metadata,
    Column("topic_id", SmallInteger, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("key", LargeBinary),
    Column("value", LargeBinary, nullable=False),
    Column("headers", LargeBinary),  # MessagePack array of [name, bytes]; null when there are none
    Column("appended_at", DateTime(timezone=True), nullable=False),
)

# Head rows are locked in one order, so appends never deadlock. One notification an append: commits that notify queue
# for a lock of the whole server. A head that is missing means a topic that is missing: nothing is stored then.
CREATE_APPEND = """
CREATE FUNCTION log.append(
    topic_ids smallint[], partitions integer[], keys bytea[], contents bytea[], header_lists bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted integer;
    locked integer;
BEGIN
    SELECT count(DISTINCT (topic_id, number)) INTO wanted
    FROM unnest(topic_ids, partitions) AS incoming (topic_id, number);

    PERFORM FROM log.head AS head
    WHERE (head.topic_id, head.partition) IN (
        SELECT incoming.topic_id, incoming.number FROM unnest(topic_ids, partitions) AS incoming (topic_id, number)
    )
    ORDER BY head.topic_id, head.partition
    FOR NO KEY UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
    IF locked < wanted THEN
        RAISE EXCEPTION 'a topic or partition does not exist' USING ERRCODE = 'no_data_found';
    END IF;

    WITH incoming AS MATERIALIZED (
        SELECT
            rows.topic_id, rows.number, rows.key, rows.content, rows.header_list,
            row_number() OVER (PARTITION BY rows.topic_id, rows.number ORDER BY rows.ordinal) - 1 AS step
        FROM unnest(topic_ids, partitions, keys, contents, header_lists)
            WITH ORDINALITY AS rows (topic_id, number, key, content, header_list, ordinal)
    ), stored AS (
        INSERT INTO log.record (topic_id, partition, "offset", key, value, headers, appended_at)
        SELECT
            incoming.topic_id, incoming.number, head.next_offset + incoming.step,
            incoming.key, incoming.content, incoming.header_list, clock_timestamp()
        FROM incoming
        JOIN log.head AS head ON head.topic_id = incoming.topic_id AND head.partition = incoming.number
    )
    UPDATE log.head AS head
    SET next_offset = head.next_offset + added.count
    FROM (SELECT topic_id, number, max(step) + 1 AS count FROM incoming GROUP BY topic_id, number) AS added
    WHERE head.topic_id = added.topic_id AND head.partition = added.number;

    PERFORM pg_notify('log_appended', (SELECT string_agg(DISTINCT id::text, ' ') FROM unnest(topic_ids) AS id));
END
$$
"""

"""Where a record goes, and how large it may be."""

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis.strategies import binary

from shared.log.errors import RecordTooLarge
from shared.log.placement import MAX_RECORD_BYTES, check_sizes, murmur2, partition_of, place
from shared.log.records import Record


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # from the tests of Kafka's Java client, which count below zero
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_hash_as_in_kafkas_java_client(key: bytes, hashed: int) -> None:
    """Other producers may append to our topics, and a key must land where theirs does."""
    assert murmur2(key) == hashed % (1 << 32)


@given(binary(max_size=70))
def test_keys_hash_as_in_aiokafka(key: bytes) -> None:
    """Our hash is the faster one, never another one."""
    assert murmur2(key) == murmur2_of_aiokafka(key)


def test_records_go_where_they_say() -> None:
    """A partition wins over a key; what names neither stays together."""
    records = [Record(b"", partition=5), Record(b"", key=b"k", partition=5), Record(b"", key=b"k"), Record(b"")]

    assert place(records, partitions=6, anywhere=2) == [5, 5, partition_of(b"k", 6), 2]


@pytest.mark.parametrize("number", [-1, 6])
def test_a_partition_beyond_the_topic_is_refused(number: int) -> None:
    """It is the caller's mistake, and told as such."""
    with pytest.raises(ValueError, match="the topic has 6"):
        place([Record(b"", partition=number)], partitions=6, anywhere=0)


def test_key_and_headers_count_towards_the_limit() -> None:
    """A record is as large as all that is kept of it."""
    largest = Record(bytes(MAX_RECORD_BYTES - 10), key=b"12345", headers=(("ab", b"cde"),))

    assert check_sizes("topic", [largest]) == MAX_RECORD_BYTES
    with pytest.raises(RecordTooLarge, match="topic"):
        check_sizes("topic", [Record(largest.value + b"x", largest.key, largest.headers)])

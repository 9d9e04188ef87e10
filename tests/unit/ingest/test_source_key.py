"""Which keys of a source open, and for how long."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.source_key import SourceKey, digest_of, rotated, source_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_is_kept_of_a_key() -> None:
    """Its hash and its first characters."""
    kept = source_key("wk_abcdefghijklmnop", NOW)

    assert kept == SourceKey(digest=digest_of("wk_abcdefghijklmnop"), hint="wk_abcd", created_at=NOW)
    assert kept.holds(NOW + 10_000 * DAY)


def test_a_rotation() -> None:
    """The old key opens until the overlap ends, and not a moment longer; the new one stays."""
    new, old = rotated([source_key("old", NOW - DAY)], source_key("new", NOW), now=NOW, overlap=DAY)

    assert new.expires_at is None
    assert old.holds(NOW + DAY - timedelta(microseconds=1))
    assert not old.holds(NOW + DAY)


def test_a_rotation_without_overlap() -> None:
    """Only the new key is left."""
    keys = rotated([source_key("old", NOW - DAY)], source_key("new", NOW), now=NOW, overlap=timedelta())

    assert [key.digest for key in keys] == [digest_of("new")]


@given(overlaps=st.lists(st.integers(0, 100), min_size=1, max_size=6), pauses=st.lists(st.integers(0, 50), max_size=6))
def test_any_number_of_rotations(overlaps: list[int], pauses: list[int]) -> None:
    """One key is without end, the newest; no rotation makes another last longer."""
    now = NOW
    keys: tuple[SourceKey, ...] = (source_key("first", now),)
    for number, (overlap, pause) in enumerate(zip(overlaps, [*pauses, *[0] * 6], strict=False)):
        now += timedelta(hours=pause)
        ends = {key.digest: key.expires_at for key in keys}
        keys = rotated(keys, source_key(f"key {number}", now), now=now, overlap=timedelta(hours=overlap))
        for key in keys[1:]:
            before = ends[key.digest]
            assert key.expires_at is not None
            assert key.expires_at <= (before or now + timedelta(hours=overlap))
            assert key.holds(now)

    assert [key.digest for key in keys if key.expires_at is None] == [keys[0].digest]

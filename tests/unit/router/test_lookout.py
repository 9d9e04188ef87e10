"""Where claims look: nothing that was named is forgotten, and everything is looked at now and then."""

from hypothesis import given
from hypothesis import strategies as st

from services.router.lookout import EVERYWHERE, WHOLE, Look, Lookout
from services.router.store.deliveries import LONGEST_RING, ring_for, rung_for

endpoint = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=100)
step = st.one_of(
    st.tuples(st.just("name"), st.sets(st.sampled_from("abcd"), min_size=1)),
    st.tuples(st.just("look"), st.floats(0, 0.3)),
    st.tuples(st.just("fail"), st.floats(0, 0.3)),
)


def covers(look: Look | None, name: str) -> bool:
    return look is not None and (look.names is None or name in look.names)


def looked_everywhere(lookout: Lookout, *, at: float) -> Lookout:
    assert lookout.next(at=at) == Look(None, whole=True)
    return lookout


@given(st.lists(step, max_size=60))
def test_whatever_happens(steps: list[tuple[str, set[str] | float]]) -> None:
    """Each look covers all that was named since the last one, and all that the last one should have if it failed."""
    lookout, owed, now = looked_everywhere(Lookout(), at=0.0), set[str](), 0.0
    for what, given_ in steps:
        if isinstance(given_, set):
            lookout.name(given_)
            owed |= given_
            continue
        now += given_
        look = lookout.next(at=now)
        assert all(covers(look, name) for name in owed)
        if what == "fail" and look:
            lookout.again(look)
        else:
            owed.clear()


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=60))
def test_endpoints_that_nobody_names(pauses: list[float]) -> None:
    """They are looked at every half second, and every two seconds for what is old, if somebody looks that often."""
    lookout, now = looked_everywhere(Lookout(), at=0.0), 0.0
    everywhere = whole = 0.0
    for pause in pauses:
        now += pause
        lookout.name(["busy"])
        look = lookout.next(at=now)
        assert look
        everywhere = now if look.names is None else everywhere
        whole = now if look.whole else whole
        assert now - everywhere < EVERYWHERE.total_seconds()
        assert now - whole < WHOLE.total_seconds()


def test_nothing_named() -> None:
    """Between two looks everywhere there is nothing to look at; then only what was named, once."""
    lookout = looked_everywhere(Lookout(), at=10.0)
    assert lookout.next(at=10.1) is None
    lookout.name(["crm"])
    assert lookout.next(at=10.1) == Look(frozenset({"crm"}))
    assert lookout.next(at=10.2) is None
    lookout.name_all()
    assert lookout.next(at=10.2) == Look(None)


@given(st.sets(endpoint, min_size=1, max_size=200))
def test_what_is_told_of_new_deliveries(endpoints: set[str]) -> None:
    """It fits a notification, and who hears it looks at each of the endpoints."""
    told = ring_for(endpoints)
    assert len(told.encode()) <= LONGEST_RING
    assert rung_for(told) in (None, endpoints)


def test_deliveries_to_very_many_endpoints() -> None:
    """Some eighty of the longest names are told; more than that ring for all."""
    longest = [f"{number:03}" + "x" * 97 for number in range(80)]
    assert rung_for(ring_for(longest[:79])) == frozenset(longest[:79])
    assert rung_for(ring_for(longest)) is None


def test_ends_of_attempts() -> None:
    """They are looked behind where something was left for want of room, and nowhere else."""
    lookout = looked_everywhere(Lookout(), at=0.0)
    lookout.name(["full", "calm"])
    look = lookout.next(at=0.1)
    assert look
    lookout.took(look, short={"full"}, busy={"full", "calm"})

    lookout.ended(["calm"])
    assert not lookout.waiting
    lookout.ended(["full", "calm"])
    assert lookout.waiting
    look = lookout.next(at=0.2)
    assert look == Look(frozenset({"full"}))

    lookout.took(look, short=(), busy={"full"})
    lookout.ended(["full"])
    look = lookout.next(at=0.3)
    assert look == Look(frozenset({"full"})), "an attempt was under way, behind which something may wait"
    lookout.took(look, short=(), busy=())
    lookout.ended(["full"])
    assert not lookout.waiting

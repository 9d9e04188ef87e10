"""What holds of contacts whatever is sent, in whatever order and batches."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, wanted
from tests.unit.ingest.contacts_model import ContactsModel, connected

SMALL = Caps(emails=2, anonymous=3, merges=2)  # so small that they are met
BOUNDLESS = Caps(emails=1000, anonymous=1000, merges=1000)


@st.composite
def one_persons_events(draw: st.DrawFn, person: int) -> list[Names]:
    """Events of somebody with one user id at most, whose devices nobody shares.

    Whoever has several addresses has used each of them with the user id: an anonymous id alone does not join them.
    """
    user = f"u{person}" if draw(st.booleans()) else ""
    emails = [f"{person}.{number}@x.example" for number in range(draw(st.integers(0, 3 if user else 1)))]
    devices = [f"a{person}.{number}" for number in range(draw(st.integers(0 if user or emails else 1, 3)))]
    used = st.sampled_from(["", *devices])
    events = [Names(user=user, email=email, anonymous=draw(used)) for email in emails if user]
    anything = st.builds(
        Names,
        user=st.sampled_from(["", user]),
        email=st.sampled_from(["", *emails]),
        anonymous=used,
        previous=used if user else st.just(""),
    )
    for names in draw(st.lists(anything, max_size=8)):
        if names.previous and not names.user:
            continue
        if names.aliases:
            events.append(names)
    return events


@st.composite
def clear_events(draw: st.DrawFn) -> list[list[Names]]:
    """The events of up to three people, all mixed up, in batches."""
    people = [draw(one_persons_events(person)) for person in range(draw(st.integers(1, 3)))]
    return draw(in_batches(draw(st.permutations([names for events in people for names in events]))))


@st.composite
def in_batches(draw: st.DrawFn, events: Sequence[Names]) -> list[list[Names]]:
    """The events in order, cut anywhere."""
    batches: list[list[Names]] = [[]]
    for names in events:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(names)
    return batches


values = st.sampled_from(["1", "2", "3"])
people = st.builds(
    lambda user, email, anonymous, previous: Names(
        user=user and f"u{user}",
        email=email and f"{email}@x.example",
        anonymous=anonymous and f"a{anonymous}",
        previous=previous if user and previous != f"u{user}" else "",
    ),
    *([st.just("") | values] * 3),
    st.sampled_from(["", "", "a1", "a2", "a3", "u1", "u2"]),
).filter(lambda names: bool(names.aliases))
muddle = st.lists(people, max_size=14)


@settings(max_examples=200)
@given(clear_events())
def test_clear_events(batches: list[list[Names]]) -> None:
    """Whatever their order and batches, the contacts are exactly what the events join."""
    model = ContactsModel(BOUNDLESS)
    told = model.take_all(batches)
    events = [names for batch in batches for names in batch]

    assert model.partition() == connected(events)
    for names, person in zip(events, told, strict=True):
        assert {model.aliases[alias][0] for alias in names.aliases} == {model.living(person.contact_id)}


@settings(max_examples=200)
@given(muddle.flatmap(in_batches), st.sampled_from([SMALL, Caps()]))
def test_any_events(batches: list[list[Names]], caps: Caps) -> None:
    """No contact has two user ids or more than it may, none that lives on in another has a name, each event has one."""
    model = ContactsModel(caps)
    told = model.take_all(batches)
    events = [names for batch in batches for names in batch]

    for group in model.partition():
        kinds = Counter(alias.kind for alias in group)
        assert kinds["user"] <= 1
        assert kinds["email"] <= caps.emails
        assert kinds["anonymous"] <= caps.anonymous
    assert not {contact for contact, _ in model.aliases.values()} & set(model.merged)
    for names, person in zip(events, told, strict=True):
        assert person.aliases
        assert set(person.aliases) <= wanted([names])
        assert {model.aliases[alias][0] for alias in person.aliases} == {model.living(person.contact_id)}


@settings(max_examples=200)
@given(muddle.flatmap(in_batches), muddle.flatmap(in_batches), st.sampled_from([SMALL, Caps()]))
def test_deciding_again(batches: list[list[Names]], more: list[list[Names]], caps: Caps) -> None:
    """A repeat, be it late, changes nothing and comes to the same contacts, or to those that they live on in."""
    model = ContactsModel(caps)
    told = model.take_all(batches)
    model.take_all(more)
    before, merged = dict(model.aliases), dict(model.merged)
    again = model.take_all(batches)

    assert [person.contact_id for person in again] == [model.living(person.contact_id) for person in told]
    assert model.aliases == before
    assert model.merged == merged


@given(muddle.flatmap(in_batches))
def test_where_batches_end(batches: list[list[Names]]) -> None:
    """Makes no difference to who is one person."""
    whole, parts = ContactsModel(), ContactsModel()
    whole.take([names for batch in batches for names in batch])
    parts.take_all(batches)

    assert whole.partition() == parts.partition()


@given(muddle)
def test_only_what_was_asked_for_is_needed(events: list[Names]) -> None:
    """Every alias that is linked was among those to look up."""
    model = ContactsModel()
    model.take(events)

    assert set(model.aliases) <= wanted(events)


@given(muddle.flatmap(in_batches), st.data())
def test_a_merge_undone(batches: list[list[Names]], data: st.DataObject) -> None:
    """Whatever is sent afterwards, the two are never one again."""
    model = ContactsModel()
    surely = [[Names(anonymous="a1")], [Names(user="u1")], [Names(user="u1", anonymous="a1")]]
    decisions = [model.take(batch) for batch in surely + batches]
    merges = [merge for decision in decisions for merge in decision.merges if merge.survivor not in model.merged]
    merge = data.draw(st.sampled_from(merges))
    names = sorted(alias for alias, (contact, _) in model.aliases.items() if contact == merge.survivor)
    moved = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=len(names) - 1))
    model.part(merge.survivor, merge.other, moved)
    model.take_all(data.draw(muddle.flatmap(in_batches)))

    assert model.living(merge.survivor) != model.living(merge.other)

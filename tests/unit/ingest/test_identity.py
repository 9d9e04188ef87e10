"""Which contact an event is about."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import EMAILS_PER_CONTACT, Decision, Known, decide, wanted
from shared.events.touch import Alias
from shared.ids import ContactId, contact_id

U1, U2 = Names(user="u1"), Names(user="u2")


def who(*, user: str = "", email: str = "", anonymous: str = "", previous: str = "") -> Names:
    return Names(user=user, email=email, anonymous=anonymous, previous=previous)


def decided(events: Sequence[Names], known: Known | None = None) -> Decision:
    return decide(events, known or Known())


def contacts(events: Sequence[Names]) -> list[ContactId]:
    return [person.contact_id for person in decided(events).people]


def linked(known: Known, kind: str, value: str) -> ContactId | None:
    return next((c for alias, c in known.contacts.items() if (alias.kind, alias.value) == (kind, value)), None)


def test_nobody_is_known() -> None:
    """The contact's id derives from the strongest name, and all names become aliases."""
    decision = decided([who(anonymous="a", email="e@x.example")])

    expected = contact_id("email", "e@x.example")
    assert decision.people[0].contact_id == expected
    assert decision.links == {Alias("email", "e@x.example"): expected, Alias("anonymous", "a"): expected}


def test_a_visitor_who_identifies() -> None:
    """The anonymous past is the user's."""
    first, second, third = contacts([who(anonymous="a"), who(anonymous="a", user="u1", email="e@x.example"), U1])

    assert first == second == third == contact_id("anonymous", "a")


def test_a_known_address_gets_a_user_id() -> None:
    """It stays one contact."""
    first, second = contacts([who(email="e@x.example"), who(user="u1", email="e@x.example")])

    assert first == second


def test_two_users_on_one_browser() -> None:
    """The second one is another person; the browser stays with the first."""
    decision = decided([who(anonymous="a", user="u1"), who(anonymous="a", user="u2"), who(anonymous="a")])
    one, two, browser = decision.people

    assert one.contact_id == browser.contact_id != two.contact_id == contact_id("user", "u2")
    assert two.aliases == (Alias("user", "u2"),)
    assert decision.merges == {}


def test_two_users_with_one_address() -> None:
    """The second one is another person; the address stays with the first, as one names a mailbox."""
    decision = decided([who(user="u1", email="team@x.example"), who(user="u2", email="team@x.example")])

    assert decision.people[0].contact_id != decision.people[1].contact_id
    assert decision.merges == {}


def test_a_tablet_at_a_fair() -> None:
    """Each address typed into it is a contact of its own."""
    typed = contacts([who(anonymous="tablet", email=f"{number}@x.example") for number in range(5)])

    assert len(set(typed)) == 5


def test_a_user_changes_the_address() -> None:
    """A user may have several."""
    first, second, third = contacts(
        [who(user="u1", email="a@x.example"), who(user="u1", email="b@x.example"), who(email="b@x.example")]
    )

    assert first == second == third


def test_a_user_id_that_everybody_has() -> None:
    """It collects addresses up to a limit; events beyond it still have a contact."""
    events = [who(user="test", email=f"{number}@x.example") for number in range(EMAILS_PER_CONTACT + 5)]
    decision = decided(events)

    assert {person.contact_id for person in decision.people} == {contact_id("user", "test")}
    assert len(decision.links) == 1 + EMAILS_PER_CONTACT
    assert decision.people[-1].aliases == (Alias("user", "test"),)


def test_two_known_contacts_on_one_event() -> None:
    """The strongest name decides; the pair is kept with its evidence, and nothing moves."""
    known = Known()
    decision = decided([who(anonymous="a"), who(email="e@x.example"), who(anonymous="a", email="e@x.example")], known)
    browser, address, both = (person.contact_id for person in decision.people)

    assert both == address != browser
    assert decision.people[2].aliases == (Alias("email", "e@x.example"),)
    assert decision.merges == {(address, browser): who(anonymous="a", email="e@x.example")}
    assert linked(known, "anonymous", "a") == browser


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_an_alias_call(order: list[int]) -> None:
    """The previous id becomes the user's, or the pair is kept when it already has a past."""
    events = [who(anonymous="anon-1"), who(user="u1", previous="anon-1")]
    decision = decided([events[index] for index in order])

    assert len({person.contact_id for person in decision.people}) == 1
    call = decision.people[order.index(1)]
    assert Alias("anonymous", "anon-1") in call.aliases


def test_an_alias_call_between_users() -> None:
    """Two users never share a contact, but the source has said that they are one."""
    decision = decided([who(user="old"), who(user="new", previous="old")])
    old, new = (person.contact_id for person in decision.people)

    assert old != new
    assert decision.merges == {(new, old): who(user="new", previous="old")}
    assert decision.people[1].aliases == (Alias("user", "new"),)


def test_what_a_decision_rests_on() -> None:
    """Contacts known before that gain a user id or an address are named, with what they had."""
    ada = ContactId(contact_id("anonymous", "a"))
    known = Known([(Alias("anonymous", "a"), ada)])
    decision = decided(
        [who(anonymous="a", email="e@x.example"), who(anonymous="a", user="u1"), who(anonymous="b")], known
    )

    assert decision.gaining == {ada: frozenset()}


values = st.sampled_from(["1", "2", "3"])
people = st.builds(
    lambda user, email, anonymous, previous: Names(
        user=user and f"u{user}",
        email=email and f"{email}@x.example",
        anonymous=anonymous and f"a{anonymous}",
        previous=(previous and f"a{previous}") if user else "",
    ),
    *([st.just("") | values] * 4),
).filter(lambda names: bool(names.aliases))


@given(st.lists(people, max_size=12))
def test_two_users_never_share_a_contact(events: list[Names]) -> None:
    """Whatever is sent in whatever order."""
    known = Known()
    decided(events, known)

    users = [contact for alias, contact in known.contacts.items() if alias.kind == "user"]
    assert len(users) == len(set(users))


@given(st.lists(people, max_size=12))
def test_deciding_again(events: list[Names]) -> None:
    """A repeat finds the same contacts and has nothing to link."""
    first = decided(events)
    stored = list(first.links.items())
    again = decided(events, Known(stored))

    assert [person.contact_id for person in again.people] == [person.contact_id for person in first.people]
    assert again.links == {}


@given(st.lists(people, max_size=12), st.integers(0, 12))
def test_deciding_in_two_batches(events: list[Names], cut: int) -> None:
    """Where a batch ends changes nothing."""
    whole = decided(events)
    first = decided(events[:cut])
    second = decided(events[cut:], Known(first.links.items()))

    assert whole.people == first.people + second.people
    assert whole.links == first.links | second.links


@given(st.lists(people, max_size=12))
def test_only_what_was_asked_for_is_needed(events: list[Names]) -> None:
    """Every alias that is linked was among those to look up."""
    assert set(decided(events).links) <= wanted(events)


@given(
    st.permutations(
        [
            who(anonymous="a1"),
            who(anonymous="a2"),
            who(email="e@x.example"),
            U1,
            *(
                who(**dict(pair))
                for pair in combinations([("user", "u1"), ("email", "e@x.example"), ("anonymous", "a1")], 2)
            ),
            who(anonymous="a2", user="u1"),
            U2,
        ]
    )
)
def test_any_order_of_one_persons_events(events: list[Names]) -> None:
    """Links and pending merges together join the same names, whichever came first; a stranger stays outside."""
    known = Known()
    decision = decided(events, known)
    groups = {contact: {contact} for contact in known.contacts.values()}
    for survivor, other in decision.merges:
        joined = groups[survivor] | groups[other]
        for contact in joined:
            groups[contact] = joined
    person = groups[known.contacts[Alias("user", "u1")]]

    assert all((contact in person) == (alias != Alias("user", "u2")) for alias, contact in known.contacts.items())

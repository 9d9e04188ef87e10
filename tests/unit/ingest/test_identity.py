"""Which contact an event is about, and which contacts are one."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, Decision, Refusal, decide
from services.ingest.domain.known import History, Holding, Known
from shared.events.touch import Alias
from shared.ids import ContactId, contact_id
from tests.unit.ingest.contacts_model import START, ContactsModel

U1, U2 = Names(user="u1"), Names(user="u2")
CAPS = Caps()


def who(*, user: str = "", email: str = "", anonymous: str = "", previous: str = "") -> Names:
    return Names(user=user, email=email, anonymous=anonymous, previous=previous)


def decided(events: Sequence[Names], known: Known | None = None, *, caps: Caps = CAPS) -> Decision:
    return decide(events, known or Known(), caps=caps)


def contacts(events: Sequence[Names]) -> list[ContactId]:
    return [person.contact_id for person in decided(events).people]


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
    assert decision.merges == []


def test_two_users_with_one_address() -> None:
    """The second one is another person; the address stays with the first, as one names a mailbox."""
    decision = decided([who(user="u1", email="team@x.example"), who(user="u2", email="team@x.example")])

    assert decision.people[0].contact_id != decision.people[1].contact_id
    assert decision.merges == []


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
    events = [who(user="test", email=f"{number}@x.example") for number in range(CAPS.emails + 5)]
    decision = decided(events)

    assert {person.contact_id for person in decision.people} == {contact_id("user", "test")}
    assert len(decision.links) == 1 + CAPS.emails
    assert decision.people[-1].aliases == (Alias("user", "test"),)
    assert decision.refused == {Refusal.EMAILS_FULL: 5}


def test_a_user_with_a_new_browser_every_day() -> None:
    """The cap of anonymous ids holds across batches; events beyond it still have a contact."""
    model = ContactsModel(Caps(anonymous=3))
    days = [model.take([who(user="u1", anonymous=f"day-{day}")]) for day in range(5)]

    assert len({decision.people[0].contact_id for decision in days}) == 1
    assert [dict(decision.refused) for decision in days] == [{}, {}, {}] + [{Refusal.ANONYMOUS_FULL: 1}] * 2
    assert len(model.aliases) == 4


def test_two_contacts_that_are_one() -> None:
    """The older one survives, the event is evidence, and all its names are the survivor's."""
    model = ContactsModel()
    model.take([who(anonymous="a")])
    model.take([who(email="e@x.example")])
    both = who(anonymous="a", email="e@x.example")
    decision = model.take([both, who(email="e@x.example")])
    browser, address = contact_id("anonymous", "a"), contact_id("email", "e@x.example")

    (merge,) = decision.merges
    assert (merge.survivor, merge.other, merge.event, merge.names) == (browser, address, 0, both)
    assert [person.contact_id for person in decision.people] == [browser, browser]
    assert decision.people[0].aliases == (Alias("email", "e@x.example"), Alias("anonymous", "a"))
    assert decision.links == {}


def test_two_contacts_of_the_same_age() -> None:
    """The smaller id survives, whoever decides."""
    names = [who(anonymous="a"), who(email="e@x.example")]
    model = ContactsModel()
    model.take(names)
    (merge,) = model.take([who(anonymous="a", email="e@x.example")]).merges

    assert merge.survivor < merge.other


def test_contacts_that_nobody_has_heard_of() -> None:
    """Joined within the batch that makes them, there is nothing to merge: names are linked to one, events are its."""
    decision = decided([who(anonymous="a"), who(email="e@x.example"), who(anonymous="a", email="e@x.example")])

    assert decision.merges == []
    assert len({person.contact_id for person in decision.people}) == 1
    assert set(decision.links.values()) == {decision.people[0].contact_id}


def test_a_new_contact_and_a_known_one() -> None:
    """What is new is linked to what is known, and there is nothing to merge."""
    model = ContactsModel()
    model.take([who(anonymous="a")])
    decision = model.take(
        [who(email="e@x.example"), U1, who(anonymous="a", email="e@x.example"), who(email="e@x.example", user="u1")]
    )

    assert decision.merges == []
    assert {person.contact_id for person in decision.people} == {contact_id("anonymous", "a")}
    assert set(decision.changing) == {contact_id("anonymous", "a")}


def test_a_chain_in_one_batch() -> None:
    """Each merge is kept with its own evidence, in order, and every event names the last survivor."""
    model = ContactsModel()
    for names in (who(anonymous="a"), who(email="e@x.example"), U1):
        model.take([names])
    decision = model.take([U1, who(user="u1", email="e@x.example"), who(email="e@x.example", anonymous="a")])
    first, second = decision.merges

    assert (first.survivor, first.other) == (contact_id("email", "e@x.example"), contact_id("user", "u1"))
    assert (second.survivor, second.other) == (contact_id("anonymous", "a"), first.survivor)
    assert {person.contact_id for person in decision.people} == {second.survivor}


def test_a_link_to_a_contact_that_is_merged_afterwards() -> None:
    """The name is linked to where it was seen, so that undoing the merge gives it back there."""
    model = ContactsModel()
    model.take([who(anonymous="a")])
    model.take([U1])
    decision = model.take([who(user="u1", email="e@x.example"), who(user="u1", anonymous="a")])

    assert decision.links == {Alias("email", "e@x.example"): contact_id("user", "u1")}
    assert model.named("email", "e@x.example") == contact_id("anonymous", "a")


@pytest.mark.parametrize(
    ("one", "other", "both", "reason"),
    [
        (who(user="u1", anonymous="a"), U2, who(user="u2", anonymous="a"), Refusal.TWO_USERS),
        (who(user="u1", email="e@x.example"), U2, who(user="u2", email="e@x.example"), Refusal.TWO_USERS),
        (U1, U2, who(user="u1", previous="u2"), Refusal.TWO_USERS),
        (
            who(email="1@x.example", anonymous="a"),
            who(email="2@x.example"),
            who(email="2@x.example", anonymous="a"),
            Refusal.SHARED_DEVICE,
        ),
    ],
)
def test_two_people(one: Names, other: Names, both: Names, reason: Refusal) -> None:
    """They stay apart, and it is said why."""
    model = ContactsModel()
    model.take([one])
    model.take([other])
    before = model.partition()
    decision = model.take([both])

    assert decision.refused == {reason: 1}
    assert decision.merges == []
    assert model.partition() == before


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        (Caps(emails=1), Refusal.EMAILS_FULL),
        (Caps(anonymous=1), Refusal.ANONYMOUS_FULL),
        (Caps(merges=0), Refusal.MERGES_FULL),
    ],
)
def test_a_merge_beyond_a_cap(caps: Caps, reason: Refusal) -> None:
    """It is refused; the event has a contact all the same."""
    model = ContactsModel(caps)
    model.take([who(user="u1", email="1@x.example", anonymous="a1")])
    model.take([who(email="2@x.example", anonymous="a2")])
    decision = model.take([who(user="u1", email="2@x.example")])

    assert decision.refused == {reason: 1}
    assert decision.people[0].contact_id == model.named("user", "u1")


def test_a_hundred_merges() -> None:
    """Then no more: members of members count."""
    model = ContactsModel(Caps(merges=3))
    for number in range(5):
        model.take([who(anonymous=f"a{number}")])
    model.take([U1])
    refused = [model.take([who(user="u1", anonymous=f"a{number}")]).refused for number in range(5)]

    assert [dict(one) for one in refused] == [{}, {}, {}] + [{Refusal.MERGES_FULL: 1}] * 2


def test_a_merge_that_was_undone() -> None:
    """It is not done again, nor through contacts that have merged with either since."""
    model = ContactsModel()
    model.take([who(email="s@x.example", anonymous="s")])
    model.take([who(email="r@x.example", anonymous="r")])
    model.take([U1])
    moved = [alias for alias in model.aliases if alias.value.startswith("r")]
    (merge,) = model.take([who(user="u1", email="s@x.example"), who(user="u1", email="r@x.example")]).merges[1:]
    model.part(merge.survivor, merge.other, moved)
    apart = model.take([who(email="s@x.example", previous="r")])

    assert apart.refused == {Refusal.UNDONE: 1}
    model.take([who(email="t@x.example")])
    model.take([who(email="t@x.example", previous="r")])
    assert model.named("email", "t@x.example") == model.named("email", "r@x.example")
    assert model.take([who(user="u1", email="t@x.example")]).refused == {Refusal.UNDONE: 1}


def test_histories_are_asked_for() -> None:
    """Only where two contacts that others know may be one; nothing is decided before they are there."""
    one, two = contact_id("user", "u1"), contact_id("anonymous", "a")
    holdings = {one: Holding(user="u1", since=START), two: Holding(anonymous=1, since=START - timedelta(days=1))}
    aliases = [(Alias("user", "u1"), one), (Alias("anonymous", "a"), two)]
    both = [who(user="u1", anonymous="a")]
    histories = {one: History(frozenset({one})), two: History(frozenset({two}))}

    assert decided(both, Known(aliases, holdings=holdings)).asks == {one, two}
    assert decided([U1, who(anonymous="a")], Known(aliases, holdings=holdings)).asks == set()
    decision = decided(both, Known(aliases, holdings=holdings, histories=histories))
    assert decision.asks == set()
    assert decision.changing == holdings
    assert decision.evidence == dict(aliases)
    assert decision.histories == histories


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_an_alias_call(order: list[int]) -> None:
    """The previous id becomes the user's, and so does its past."""
    events = [who(anonymous="anon-1"), who(user="u1", previous="anon-1")]
    decision = decided([events[index] for index in order])

    assert len({person.contact_id for person in decision.people}) == 1
    call = decision.people[order.index(1)]
    assert Alias("anonymous", "anon-1") in call.aliases


def test_what_a_decision_rests_on() -> None:
    """Contacts known before that gain a name are told, with what they had."""
    ada = contact_id("anonymous", "a")
    held = Holding(anonymous=1, since=START)
    known = Known([(Alias("anonymous", "a"), ada)], holdings={ada: held})
    decision = decided(
        [who(anonymous="a", email="e@x.example"), who(anonymous="a", user="u1"), who(anonymous="b")], known
    )

    assert decision.changing == {ada: held}

"""What an agreement says about accounts and about nurture."""

from datetime import timedelta

import pytest

from shared.agreement.hashing import content_hash, counting_hash
from shared.agreement.model import AccountReady, Accounts, Agreement, Condition, Nurture, Role
from shared.agreement.parse import parse_agreement
from tests.support.accounts_text import ACCOUNTS_TEXT, SECTION
from tests.support.touches import TEXT, agreement, changed

# Of the text without these sections, as releases that did not know them reckoned it: versions are stored by it.
HASH_BEFORE = "708a8862230a30f555ff2262c8d4333ee47c1f84b1a944361d0dbc0d596e1425"


def test_values() -> None:
    """Each part arrives as the value that it means; what is left out has a default."""
    read = agreement(ACCOUNTS_TEXT).accounts

    assert read == Accounts(
        ready=AccountReady(engagement=60, contacts=3, within=timedelta(days=7), roles=("decision_maker",)),
        least=5,
        cap=30,
        roles=(
            Role(id="decision_maker", when=(Condition("contact.title", ("*director*", "vp *")),)),
            Role(id="user", when=(Condition("contact.title", ("*clerk*",)),)),
        ),
        rearm_below=40,
    )
    assert agreement(TEXT + "accounts: {ready: {engagement: 80}, rearm: {below: 50}}").accounts == Accounts(
        ready=AccountReady(engagement=80), least=5, cap=40, roles=(), rearm_below=50
    )
    assert agreement(TEXT + "nurture: {}").nurture == Nurture(every=timedelta(days=1))


def test_an_agreement_that_says_nothing_about_them() -> None:
    """It has neither, and the hash that both sides signed under releases that did not know them."""
    read = agreement(TEXT)

    assert read.accounts is None
    assert read.nurture is None
    assert content_hash(read) == HASH_BEFORE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("engagement: 60, contacts", "engagement: 61, contacts"),
        ("contacts: 3", "contacts: 4"),
        ("within: 7d", "within: 8d"),
        ("roles: [decision_maker]", "roles: [user]"),
        ("least: 5", "least: 6"),
        ("cap: 30}\n  roles", "cap: 31}\n  roles"),
        ("*clerk*", "*clark*"),
        ("below: 40", "below: 41"),
        (SECTION, "accounts: {ready: {engagement: 60}, rearm: {below: 40}}"),
        (SECTION, SECTION + "nurture: {every: 2d}"),
    ],
)
def test_what_is_signed(old: str, new: str) -> None:
    """Any change is another text to sign; none of them makes touches be counted again."""
    other = agreement(changed((old, new), text=ACCOUNTS_TEXT))

    assert content_hash(other) != content_hash(agreement(ACCOUNTS_TEXT))
    assert counting_hash(other) == counting_hash(agreement(TEXT))


@pytest.mark.parametrize(
    ("section", "mistake"),
    [
        ("accounts: {}", "accounts.ready: expected ready, but it is missing"),
        ("accounts: 3", "accounts: expected names with values, such as {name: value}"),
        (
            "accounts: {ready: {engagement: 50}, rearm: {below: 50}}",
            "accounts.rearm.below: expected less than accounts.ready.engagement (50)",
        ),
        (
            "accounts: {ready: {engagement: 50, roles: [boss]}, roles: {bos: {contact.title: x}}, rearm: {below: 5}}",
            "accounts.ready.roles[0]: there is no role 'boss'; did you mean 'bos'?",
        ),
        (
            "accounts: {ready: {engagement: 50, contacts: 0}, rearm: {below: 5}}",
            "accounts.ready.contacts: expected a whole number from 1 up, not '0'",
        ),
        (
            "accounts: {ready: {engagement: 50}, per_contact: {least: 9, cap: 8}, rearm: {below: 5}}",
            "accounts.per_contact: expected least (9) to be no more than cap (8)",
        ),
        (
            "accounts: {ready: {engagement: 50}, roles: {a: {name: x}}, rearm: {below: 5}}",
            "accounts.roles.a.name: there is no field 'name'",
        ),
        ("nurture: {every: 5m}", "nurture.every: expected a duration from 1h"),
        ("nurture: {evry: 5d}", "nurture.evry: there is no key 'evry'; did you mean 'every'?"),
    ],
)
def test_mistakes(section: str, mistake: str) -> None:
    """Each is told with its line and key."""
    parsed = parse_agreement(TEXT + section)

    assert not isinstance(parsed, Agreement)
    line = TEXT.count("\n") + 1
    assert any(str(one).startswith(f"line {line}, ") and mistake in str(one) for one in parsed), parsed

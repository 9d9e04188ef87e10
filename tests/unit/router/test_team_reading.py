"""The team as people write it: read whole, or refused with every mistake and its line."""

import json
from datetime import date, time, timedelta
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from services.router.domain.endpoint import Endpoint
from services.router.domain.team import Hold, Member, Owner, Pool, Rep, Rule, Team, TimeOff, Unavailable
from services.router.domain.team_reading import read_team
from services.router.errors import TeamInvalid
from shared.agreement.model import Condition
from shared.agreement.when_reading import write_when
from shared.business_calendar import Shift

LOOPBACK = [ip_network("127.0.0.0/8")]
EXAMPLE = Path(__file__).parents[3] / "examples" / "team.yaml"
TEAM = """\
reps:
  - {name: Rita, email: rita@harbour.example, capacity: 5}
  - {name: Sven, email: sven@harbour.example, away: true}
pools:
  - name: everyone
    members: [{rep: Rita, weight: 2}, Sven]
endpoints:
  - {name: crm, url: "https://crm.example/leads"}
"""


def test_a_small_team() -> None:
    """What is left out has a default: capacity 30, weight 1, and the only pool gets everything."""
    team = read_team(TEAM)

    assert team.reps == (
        Rep(name="Rita", email="rita@harbour.example", capacity=5),
        Rep(name="Sven", email="sven@harbour.example", capacity=30, away=True),
    )
    assert team.pools == (Pool(name="everyone", members=(Member(rep="Rita", weight=2), Member(rep="Sven"))),)
    assert team.default_pool == "everyone"
    assert team.endpoints == (Endpoint(name="crm", url="https://crm.example/leads"),)


def test_the_example() -> None:
    """The team in the examples can be set where loopback is allowed."""
    team = read_team(EXAMPLE.read_text(), allowed=LOOPBACK)

    assert [pool.name for pool in team.pools] == ["enterprise", "growth"]
    assert [rule.pool for rule in team.rules] == ["enterprise", "enterprise"]


def test_hours() -> None:
    """The team, a pool and a rep can have hours; a rep has caps and days off, and a pool a manager."""
    written = TEAM.replace(
        "capacity: 5}",
        "per_hour: 5, per_day: 20, hours: {zone: UTC, week: {mon-tue: 08:00-16:00}}, time_off: "
        "[{from: 2026-12-21, to: 2027-01-02}, {from: 2027-02-01}]}",
    ).replace(
        "Sven]", "Sven]\n    manager: Sven\n    hours: {zone: Europe/Berlin, week: {fri: 09:00-12:00}, holidays: DE}"
    )
    team = read_team(written + "hours: {zone: Europe/Oslo, week: {mon-fri: 09:00-17:00}}\n")
    rita, sven = team.reps

    assert (rita.per_hour, rita.per_day, sven.per_hour, sven.per_day) == (5, 20, None, None)
    assert rita.calendar is not None
    assert rita.calendar.week == (Shift(0, time(8), time(16)), Shift(1, time(8), time(16)))
    assert rita.off == (
        TimeOff(first=date(2026, 12, 21), last=date(2027, 1, 2)),
        TimeOff(first=date(2027, 2, 1), last=date(2027, 2, 1)),
    )
    assert sven.calendar is None
    assert team.pools[0].manager == "Sven"
    assert team.pools[0].calendar is not None
    assert (team.pools[0].calendar.zone, team.pools[0].calendar.holidays) == ("Europe/Berlin", "DE")
    assert team.calendar is not None
    assert team.calendar.zone == "Europe/Oslo"


def test_rules() -> None:
    """A rule names a pool, a rep, an owner, or holds; pools wait for their members, names and owners do not."""
    when = "when: {account.employees: '>= 500'}"
    written = TEAM + "\n".join(
        [
            "rules:",
            "  - {owner: account}",
            f"  - {{{when}, rep: Rita, unavailable: wait}}",
            f"  - {{{when}, hold: 2h}}",
            f"  - {{{when}, hold: legal review}}",
            f"  - {{{when}, hold: {{for: 30m, reason: enrichment}}}}",
            f"  - {{{when}, pool: everyone}}",
        ]
    )
    rules = read_team(written).rules

    assert [(rule.owner, rule.rep, rule.pool) for rule in rules if rule.hold is None] == [
        (Owner.ACCOUNT, None, None),
        (None, "Rita", None),
        (None, None, "everyone"),
    ]
    assert [rule.hold for rule in rules if rule.hold] == [
        Hold(duration=timedelta(hours=2)),
        Hold(reason="legal review"),
        Hold(duration=timedelta(minutes=30), reason="enrichment"),
    ]
    assert [rule.unavailable for rule in rules if rule.hold is None] == [
        Unavailable.NEXT,
        Unavailable.WAIT,
        Unavailable.WAIT,
    ]


def test_json() -> None:
    """JSON is understood too."""
    written = (
        '{"reps": [{"name": "Rita", "email": "rita@harbour.example"}], '
        '"pools": [{"name": "all", "members": ["Rita"]}], '
        '"endpoints": [{"name": "crm", "url": "https:\\/\\/crm.example\\/leads"}]}'
    )

    assert read_team(written).endpoints[0].url == "https://crm.example/leads"


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("capacity: 5", "capacity: 0", 2, "whole number from 1"),
        ("capacity: 5", "capacity: 2.5", 2, "whole number"),
        ("capacity: 5", "per_hour: 0", 2, "whole number from 1"),
        ("capacity: 5", "time_off: [{from: tomorrow}]", 2, "a day such as 2026-12-24"),
        ("capacity: 5", "time_off: [{from: 2026-12-24, to: 2026-12-23}]", 2, "not before 2026-12-24"),
        ("capacity: 5", "time_off: [{to: 2026-12-23}]", 2, "expected from"),
        ("capacity: 5", "hours: {zone: Mars/Base, week: {mon: 09:00-17:00}}", 2, "no time zone 'Mars/Base'"),
        ("name: everyone", "name: everyone\n    manager: Rina", 5, "did you mean 'Rita'"),
        ("capacity: 5", "capacty: 5", 2, "did you mean 'capacity'"),
        ("rita@harbour.example", "rita", 2, "e-mail"),
        ("away: true", "away: maybe", 3, "true or false"),
        ("name: Sven", "name: Rita", 3, "'Rita' only once"),
        ("rep: Rita", "rep: Rina", 5, "did you mean 'Rita'"),
        ("weight: 2", "weight: 0", 6, "from 0.01 to 100"),
        ("weight: 2", "weight: .inf", 6, "number"),
        ("{rep: Rita, weight: 2}, Sven", "Rita, Rita", 5, "only once"),
        ("{rep: Rita, weight: 2}, Sven", "", 6, "at least one rep"),
        ("https://crm.example/leads", "crm.example", 8, "https://"),
        ("https://crm.example/leads", "http://127.0.0.1:9099/", 8, "TANDEM_DELIVERY_ALLOWED_NETWORKS"),
        ("https://crm.example/leads", "http://[::ffff:7f00:1]/", 8, "not a public address"),
        ("https://crm.example/leads", "http://2130706433/", 8, "in full"),
        ('leads"}', 'leads", secret: short}', 8, "24 to 64 bytes"),
        ('leads"}', 'leads", pools: [nobody]}', 8, "there is no pool 'nobody'"),
        ('leads"}', 'leads", reps: [Rita]}', 5, "nothing would be delivered"),
        ('leads"}', 'leads"}\nrules: [{when: {}, pool: everyone}]', 9, "at least one condition"),
        ('leads"}', 'leads"}\nrules: [{when: {title: x}, pool: everyone}]', 9, "there is no field 'title'"),
        ('leads"}', 'leads"}\nrules: [{when: {contact.a: x}}]', 9, "expected one of pool, rep, owner and hold"),
        ('leads"}', 'leads"}\nrules: [{owner: account, pool: everyone}]', 9, "expected one of pool, rep"),
        ('leads"}', 'leads"}\nrules: [{pool: everyone}]', 9, "expected when"),
        ('leads"}', 'leads"}\nrules: [{owner: nobody}]', 9, "there is no owner 'nobody'"),
        ('leads"}', 'leads"}\nrules: [{when: {contact.a: x}, rep: Rina}]', 9, "did you mean 'Rita'"),
        ('leads"}', 'leads"}\nrules: [{when: {contact.a: x}, hold: 2h, unavailable: next}]', 9, "beside pool"),
        (", Sven]", "]\nrules: [{when: {contact.a: x}, rep: Sven}]", 7, "Sven is in none"),
        ('leads"}', 'leads"}\ndefault_pool: nobody', 9, "there is no pool 'nobody'"),
        ("name: crm", 'name: "c\\0rm"', 8, "on one line"),
    ],
)
def test_one_mistake(before: str, after: str, line: int, said: str) -> None:
    """A mistake is told with its line and what would be right."""
    written = TEAM.replace(before, after, 1)
    with pytest.raises(TeamInvalid) as raised:
        read_team(written)

    assert raised.value.mistakes[0].line == line
    assert said in str(raised.value)


def test_several_mistakes() -> None:
    """All of them are told at once, in the order of the lines."""
    written = TEAM.replace("capacity: 5", "capacity: none").replace("away: true", "away: 1").replace("name: crm, ", "")
    with pytest.raises(TeamInvalid) as raised:
        read_team(written)

    assert [mistake.line for mistake in raised.value.mistakes] == [2, 3, 8]


@pytest.mark.parametrize(
    "written", ["", "  \n", "[]", "42", "reps: [", "a: *b", "[" * 5000, "{" * 5000, "x" * 300_000, "\x00", "- - - -"]
)
def test_what_is_no_team(written: str) -> None:
    """Nothing that anybody may send breaks the reading."""
    with pytest.raises(TeamInvalid):
        read_team(written)


def test_characters_in_halves() -> None:
    """JSON writes an emoji as two escapes, which are one character; a half alone is a mistake with its place."""
    text = json.dumps(
        {
            "reps": [{"name": "Rita 😀", "email": "rita@harbour.example"}],
            "pools": [{"name": "everyone", "members": ["Rita 😀"]}],
            "endpoints": [{"name": "crm", "url": "https://crm.example/"}],
        }
    )
    assert "\\ud83d\\ude00" in text
    assert read_team(text).reps[0].name == "Rita 😀"
    for half in ('{"\\udb3c": false}', text.replace("\\ude00", "", 1)):
        with pytest.raises(TeamInvalid, match="expected whole characters"):
            read_team(half)


def test_conditions_of_every_kind() -> None:
    """A rule asks what an agreement can ask of a contact; the team is stored and shown as it was written."""
    rule = (
        "{when: {contact.seats: {at_least: 50}, contact.signed: {since: 2026-05-01}, "
        "any: [{account.country: [DE, AT]}, {not: {account.region: {exists: true}}}]}, pool: everyone}"
    )
    team = read_team(TEAM + f"rules: [{rule}]\n")

    stored = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(team)))

    assert msgspec.convert(stored, Team) == team
    assert write_when(team.rules[0].when) == {
        "any": [{"account.country": ["DE", "AT"]}, {"not": {"account.region": [{"exists": True}]}}],
        "contact.seats": [{"at_least": 50.0}],
        "contact.signed": [{"since": "2026-05-01T00:00:00Z"}],
    }


def test_a_team_that_the_last_release_stored() -> None:
    """What a condition is stored as has grown; what was there means what it did."""
    stored = {"when": [{"field": "account.employees", "any_of": [">= 500", 5, True]}], "pool": "large"}

    assert msgspec.convert(stored, Rule) == Rule(
        when=(Condition("account.employees", (">= 500", 5.0, True)),), pool="large"
    )

"""Reading reps and pools as people write them: who works when, and how much each can be given."""

from datetime import date

import yaml

from services.router.domain.team import Member, Pool, Rep, TimeOff
from services.router.domain.team_name import read_name
from shared.agreement.calendar_reading import read_calendar, read_date
from shared.agreement.reading import Reader
from shared.business_calendar import BusinessCalendar

DEFAULT_CAPACITY = 30  # open handoffs

_LATEST = 3000  # year; the calendar of the computer ends somewhere
_REP = ("capacity", "away", "per_hour", "per_day", "hours", "time_off")  # `off` alone is false in YAML 1.1


def read_rep(reader: Reader, node: yaml.Node, key: str) -> Rep:
    """Read `{name: Rita, email: rita@harbour.example, per_hour: 5, hours: {…}, time_off: [{from: …, to: …}]}`."""
    given = reader.mapping(node, key, required=("name", "email"), optional=_REP)
    email = reader.text(given.get("email"), f"{key}.email")
    name, _, domain = email.partition("@")
    if email and not (name and domain and email.isprintable() and " " not in email and "@" not in domain):
        reader.wrong(given["email"], f"{key}.email", f"expected an e-mail address, not {email!r}")
    return Rep(
        name=read_name(reader, given.get("name"), f"{key}.name"),
        email=email,
        capacity=_count(reader, given, "capacity", key) or DEFAULT_CAPACITY,
        away="away" in given and reader.flag(given["away"], f"{key}.away"),
        per_hour=_count(reader, given, "per_hour", key),
        per_day=_count(reader, given, "per_day", key),
        calendar=read_hours(reader, given, key),
        off=tuple(_time_off(reader, item, at) for item, at in reader.items(given.get("time_off"), f"{key}.time_off")),
    )


def read_pool(reader: Reader, node: yaml.Node, key: str) -> Pool:
    """Read `{name: growth, members: [{rep: Rita, weight: 2}, Sven], hours: {…}, manager: Olga}`."""
    given = reader.mapping(node, key, required=("name", "members"), optional=("hours", "manager"))
    members = tuple(_member(reader, item, at) for item, at in reader.items(given.get("members"), f"{key}.members"))
    if "members" in given and not members:
        reader.wrong(given["members"], f"{key}.members", "expected at least one rep")
    return Pool(
        name=read_name(reader, given.get("name"), f"{key}.name"),
        members=members,
        calendar=read_hours(reader, given, key),
        manager=reader.text(given.get("manager"), f"{key}.manager") or None,
    )


def read_hours(reader: Reader, given: dict[str, yaml.Node], key: str) -> BusinessCalendar | None:
    """Read the `hours` of a rep, a pool or the team."""
    return read_calendar(reader, given["hours"], f"{key}.hours" if key else "hours") if "hours" in given else None


def _member(reader: Reader, node: yaml.Node, key: str) -> Member:
    if isinstance(node, yaml.ScalarNode):
        return Member(rep=reader.text(node, key))
    given = reader.mapping(node, key, required=("rep",), optional=("weight",))
    weight = reader.number(given.get("weight"), f"{key}.weight", least=0.01, most=100)
    return Member(
        rep=reader.text(given.get("rep"), f"{key}.rep"),
        weight=(weight or 1.0) if "weight" in given else 1.0,
    )


def _time_off(reader: Reader, node: yaml.Node, key: str) -> TimeOff:
    given = reader.mapping(node, key, required=("from",), optional=("to",))
    mistakes = len(reader.mistakes)
    first = read_date(reader, given["from"], f"{key}.from") if "from" in given else date.min
    last = read_date(reader, given["to"], f"{key}.to") if "to" in given else first
    if last.year >= _LATEST and len(reader.mistakes) == mistakes:
        reader.wrong(given.get("to", given["from"]), key, f"expected days before the year {_LATEST}")
    if last < first and len(reader.mistakes) == mistakes:
        reader.wrong(given["to"], f"{key}.to", f"expected a day that is not before {first}, not {last}")
    return TimeOff(first=first, last=last)


def _count(reader: Reader, given: dict[str, yaml.Node], name: str, key: str) -> int | None:
    return reader.integer(given[name], f"{key}.{name}", least=1) if name in given else None

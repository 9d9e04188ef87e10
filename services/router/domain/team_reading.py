"""From the team that people write to a team, or to everything that is wrong with it at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import yaml

from services.router.domain.addresses import Network
from services.router.domain.endpoint_reading import EndpointReading
from services.router.domain.team import Member, Pool, Rep, Rule, Team
from services.router.domain.team_name import read_name
from services.router.errors import TeamInvalid
from shared.agreement.model import Condition
from shared.agreement.reading import Mistake, Reader, compose

DEFAULT_CAPACITY = 30  # open handoffs
LARGEST_TEXT = 262_144  # characters

_SECTIONS = ("reps", "pools", "endpoints")
_SIDES = ("contact.", "account.")

T = TypeVar("T")


def read_team(text: str, *, allowed: Iterable[Network] = ()) -> Team:
    """Read a team from YAML or JSON. `allowed` are the operator's own networks. Raises TeamInvalid."""
    if len(text) > LARGEST_TEXT:
        raise TeamInvalid([Mistake(1, 1, "", f"expected at most {LARGEST_TEXT} characters, not {len(text)}")])
    if not text.strip():
        raise TeamInvalid([Mistake(1, 1, "", "expected a team, not an empty text")])
    root = compose(text)
    if isinstance(root, Mistake):
        raise TeamInvalid([root])
    reading = _Reading(Reader(), tuple(allowed))
    team = reading.team(root)
    if reading.reader.mistakes:
        raise TeamInvalid(reading.reader.mistakes)
    return team


@dataclass(slots=True)
class _Reading:
    reader: Reader
    allowed: tuple[Network, ...]

    def team(self, root: yaml.Node) -> Team:
        sections = self.reader.mapping(root, "", required=_SECTIONS, optional=("rules", "default_pool"))
        endpoints = EndpointReading(self.reader, self.allowed)
        team = Team(
            reps=self.each(sections.get("reps"), "reps", self.rep),
            pools=self.each(sections.get("pools"), "pools", self.pool),
            rules=self.each(sections.get("rules"), "rules", self.rule),
            default_pool=self.reader.text(sections.get("default_pool"), "default_pool") or None,
            endpoints=self.each(sections.get("endpoints"), "endpoints", endpoints.endpoint),
        )
        if not self.reader.mistakes:  # what refers to something broken would only repeat its mistake
            _Check(self.reader, sections, root).check(team)
        if team.default_pool is None and len(team.pools) == 1:
            return Team(
                reps=team.reps,
                pools=team.pools,
                rules=team.rules,
                default_pool=team.pools[0].name,
                endpoints=team.endpoints,
            )
        return team

    def rep(self, node: yaml.Node, key: str) -> Rep:
        given = self.reader.mapping(node, key, required=("name", "email"), optional=("capacity", "away"))
        email = self.reader.text(given.get("email"), f"{key}.email")
        name, _, domain = email.partition("@")
        if email and not (name and domain and email.isprintable() and " " not in email and "@" not in domain):
            self.reader.wrong(given["email"], f"{key}.email", f"expected an e-mail address, not {email!r}")
        return Rep(
            name=read_name(self.reader, given.get("name"), f"{key}.name"),
            email=email,
            capacity=self.reader.integer(given["capacity"], f"{key}.capacity", least=1)
            if "capacity" in given
            else DEFAULT_CAPACITY,
            away="away" in given and self.reader.flag(given["away"], f"{key}.away"),
        )

    def pool(self, node: yaml.Node, key: str) -> Pool:
        given = self.reader.mapping(node, key, required=("name", "members"))
        members = self.each(given.get("members"), f"{key}.members", self.member)
        if "members" in given and not members:
            self.reader.wrong(given["members"], f"{key}.members", "expected at least one rep")
        return Pool(name=read_name(self.reader, given.get("name"), f"{key}.name"), members=members)

    def member(self, node: yaml.Node, key: str) -> Member:
        if isinstance(node, yaml.ScalarNode):
            return Member(rep=self.reader.text(node, key))
        given = self.reader.mapping(node, key, required=("rep",), optional=("weight",))
        weight = self.reader.number(given.get("weight"), f"{key}.weight", least=0.01, most=100)
        return Member(
            rep=self.reader.text(given.get("rep"), f"{key}.rep"),
            weight=(weight or 1.0) if "weight" in given else 1.0,
        )

    def rule(self, node: yaml.Node, key: str) -> Rule:
        given = self.reader.mapping(node, key, required=("when", "pool"))
        return Rule(
            when=self.when(given.get("when"), f"{key}.when"), pool=self.reader.text(given.get("pool"), f"{key}.pool")
        )

    def when(self, node: yaml.Node | None, key: str) -> tuple[Condition, ...]:
        conditions = []
        for name, value, at in self.reader.entries(node, key):
            field = str(name.value)
            if not any(field.startswith(side) and field != side for side in _SIDES):
                names = [f"{side}<name>" for side in _SIDES]
                self.reader.unknown(name, at, field, kind="field", known=names)
            items = value.value if isinstance(value, yaml.SequenceNode) else [value]
            if not items:
                self.reader.wrong(value, at, "expected at least one value in the list")
            conditions.append(Condition(field=field, any_of=tuple(self.reader.pattern(item, at) for item in items)))
        if isinstance(node, yaml.MappingNode) and not node.value:
            self.reader.wrong(node, key, "expected at least one condition, such as account.industry: logistics")
        return tuple(conditions)

    def each(self, node: yaml.Node | None, key: str, read: Callable[[yaml.Node, str], T]) -> tuple[T, ...]:
        return tuple(read(item, at) for item, at in self.reader.items(node, key))


@dataclass(frozen=True, slots=True)
class _Check:
    """Refuses what names something that is not there, and what would leave a handoff with nowhere to go."""

    reader: Reader
    sections: dict[str, yaml.Node]
    root: yaml.Node

    def check(self, team: Team) -> None:
        reps, pools = [rep.name for rep in team.reps], [pool.name for pool in team.pools]
        self.once("reps", reps)
        self.once("pools", pools)
        self.once("endpoints", [endpoint.name for endpoint in team.endpoints])
        for number, pool in enumerate(team.pools):
            members = [member.rep for member in pool.members]
            self.once("pools", members, within=number)
            self.known("pools", members, reps, kind="rep", within=number)
        for number, rule in enumerate(team.rules):
            self.known("rules", [rule.pool], pools, kind="pool", within=number)
        for number, endpoint in enumerate(team.endpoints):
            self.known("endpoints", endpoint.pools, pools, kind="pool", within=number)
            self.known("endpoints", endpoint.reps, reps, kind="rep", within=number)
        if team.default_pool:
            self.known("default_pool", [team.default_pool], pools, kind="pool")
        elif len(pools) != 1:
            self.reader.wrong(self.root, "default_pool", "expected the pool that gets what no rule sends elsewhere")
        if not self.reader.mistakes:
            self.everybody_is_served(team)

    def everybody_is_served(self, team: Team) -> None:
        for number, pool in enumerate(team.pools):
            for member in pool.members:
                if not any(endpoint.serves(pool=pool.name, rep=member.rep) for endpoint in team.endpoints):
                    self.reader.wrong(
                        self.place("pools", number),
                        f"pools[{number}]",
                        f"expected an endpoint that serves {pool.name} or {member.rep}: nothing would be delivered",
                    )

    def once(self, section: str, names: list[str], *, within: int | None = None) -> None:
        for place, name in enumerate(names):
            if name in names[:place]:
                at = place if within is None else within
                self.reader.wrong(self.place(section, at), f"{section}[{at}]", f"expected {name!r} only once")

    def known(
        self, section: str, names: Iterable[str], known: list[str], *, kind: str, within: int | None = None
    ) -> None:
        for name in names:
            if name not in known:
                at = section if within is None else f"{section}[{within}]"
                self.reader.unknown(self.place(section, within), at, name, kind=kind, known=known or ["none"])

    def place(self, section: str, number: int | None) -> yaml.Node:
        node = self.sections[section]
        found: yaml.Node = node if number is None else node.value[number]
        return found

"""Whether the parts of a team fit together: names lead somewhere, and so does every handoff."""

from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from services.router.domain.team import Team
from shared.agreement.reading import Reader


@dataclass(frozen=True, slots=True)
class TeamCheck:
    """Refuses what names something that is not there, and what would leave a handoff with nowhere to go."""

    reader: Reader
    sections: dict[str, yaml.Node]
    root: yaml.Node

    def check(self, team: Team) -> None:
        """Tell the reader of everything in the team that does not fit together."""
        reps, pools = [rep.name for rep in team.reps], [pool.name for pool in team.pools]
        self.once("reps", reps)
        self.once("pools", pools)
        self.once("endpoints", [endpoint.name for endpoint in team.endpoints])
        for number, pool in enumerate(team.pools):
            members = [member.rep for member in pool.members]
            self.once("pools", members, within=number)
            self.known("pools", [*members, *filter(None, [pool.manager])], reps, kind="rep", within=number)
        for number, rule in enumerate(team.rules):
            self.known("rules", filter(None, [rule.pool]), pools, kind="pool", within=number)
            self.known("rules", filter(None, [rule.rep]), reps, kind="rep", within=number)
            if rule.rep in reps and team.pool_of(rule.rep) is None:
                self.reader.wrong(
                    self.place("rules", number),
                    f"rules[{number}]",
                    f"expected a rep who is in a pool, where others stand in: {rule.rep} is in none",
                )
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

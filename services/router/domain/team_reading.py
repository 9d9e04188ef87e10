"""From the team that people write to a team, or to everything that is wrong with it at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import yaml

from services.router.domain.addresses import Network
from services.router.domain.endpoint_reading import EndpointReading
from services.router.domain.rep_reading import read_hours, read_pool, read_rep
from services.router.domain.rule_reading import read_rule
from services.router.domain.team import Team
from services.router.domain.team_checking import TeamCheck
from services.router.errors import TeamInvalid
from shared.agreement.reading import Mistake, Reader, compose

LARGEST_TEXT = 262_144  # characters

_SECTIONS = ("reps", "pools", "endpoints")

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
        sections = self.reader.mapping(root, "", required=_SECTIONS, optional=("rules", "default_pool", "hours"))
        endpoints = EndpointReading(self.reader, self.allowed)
        team = Team(
            reps=self.each(sections.get("reps"), "reps", partial(read_rep, self.reader)),
            pools=self.each(sections.get("pools"), "pools", partial(read_pool, self.reader)),
            rules=self.each(sections.get("rules"), "rules", partial(read_rule, self.reader)),
            default_pool=self.reader.text(sections.get("default_pool"), "default_pool") or None,
            endpoints=self.each(sections.get("endpoints"), "endpoints", endpoints.endpoint),
            calendar=read_hours(self.reader, sections, ""),
        )
        if not self.reader.mistakes:  # what refers to something broken would only repeat its mistake
            TeamCheck(self.reader, sections, root).check(team)
        if team.default_pool is None and len(team.pools) == 1:
            return replace(team, default_pool=team.pools[0].name)
        return team

    def each(self, node: yaml.Node | None, key: str, read: Callable[[yaml.Node, str], T]) -> tuple[T, ...]:
        return tuple(read(item, at) for item, at in self.reader.items(node, key))

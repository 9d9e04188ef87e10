"""Setting the team: what a person declared becomes so, and what it leaves without an owner goes back to the queue."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.handoff import Step, allows
from services.router.domain.team import Team
from services.router.domain.team_diff import team_changes
from services.router.domain.turn import settle
from services.router.endpoint_keeping import EndpointKeeper
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoffs import HandoffStore
from services.router.store.teams import TeamStore, without_secrets
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class TeamSet:
    """The team as it is now, and the secrets that were made for new endpoints: shown this once."""

    team: Team
    new_secrets: dict[str, str]
    returned: int  # handoffs of reps who left
    changes: list[str]  # in words


class TeamSetter:
    """Sets the team. `changed` is called after the commit."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        teams: TeamStore,
        handoffs: HandoffStore,
        deliveries: DeliveryStore,
        keeper: EndpointKeeper,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._teams = teams
        self._handoffs = handoffs
        self._deliveries = deliveries
        self._keeper = keeper
        self._clock = clock
        self._changed = changed

    async def set(self, declared: Team, *, by: str) -> TeamSet:
        """Make the team what was declared. The same declaration again changes nothing."""
        async with self._engine.begin() as connection:
            current = await self._teams.lock(connection)
            stored = without_secrets(declared)
            same = replace(current, version=0, owed={}) == stored
            team = current if same else replace(stored, version=current.version + 1, owed=_settled(current, stored))
            returned = 0
            if not same:
                await self._teams.save(connection, team, by=by, now=self._clock())
                returned = await self._return(connection, team, by=by)
            # After the deliveries: whoever ends an attempt locks its delivery and then the endpoint.
            new_secrets = await self._save_endpoints(connection, declared)
        self._changed()
        return TeamSet(team=team, new_secrets=new_secrets, returned=returned, changes=team_changes(current, stored))

    async def _save_endpoints(self, connection: AsyncConnection, declared: Team) -> dict[str, str]:
        new, gone = await self._keeper.save(connection, declared)
        await self._deliveries.end_for_endpoints(connection, gone, now=self._clock())
        return new

    async def _return(self, connection: AsyncConnection, team: Team, *, by: str) -> int:
        """Put back what reps who left had not answered, so that somebody answers it."""
        orphans = await self._handoffs.owned_by_others(connection, [rep.name for rep in team.reps], allows(Step.RETURN))
        await self._handoffs.move(
            connection,
            [handoff.taking(Step.RETURN, at=self._clock(), by=by) for handoff in orphans],
        )
        await self._deliveries.cancel(connection, [handoff.id for handoff in orphans])
        return len(orphans)


def _settled(before: Team, after: Team) -> dict[str, dict[str, float]]:
    return {
        pool.name: settle(before.owed.get(pool.name, {}), ((member.rep, member.weight) for member in pool.members))
        for pool in after.pools
    }

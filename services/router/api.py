"""The router over HTTP."""

from collections.abc import Callable

from fastapi import APIRouter

from services.router.answering import Answers
from services.router.delivery_api import create_delivery_routes
from services.router.handoff_api import create_handoff_routes
from services.router.settings import RouterSettings
from services.router.store.decisions import DecisionStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoffs import HandoffStore
from services.router.store.teams import TeamStore
from services.router.team_api import create_team_routes
from services.router.team_setting import TeamSetter
from shared.platform import Platform


def create_router(
    *,
    platform: Platform,
    settings: RouterSettings,
    teams: TeamStore,
    handoffs: HandoffStore,
    decisions: DecisionStore,
    deliveries: DeliveryStore,
    answers: Answers,
    setter: TeamSetter,
    replayed: Callable[[], None],
) -> APIRouter:
    """Build all routes of the router."""
    router = APIRouter()
    router.include_router(
        create_handoff_routes(
            keys=platform.keys,
            teams=teams,
            handoffs=handoffs,
            decisions=decisions,
            deliveries=deliveries,
            answers=answers,
            public_url=settings.api_url,
        )
    )
    router.include_router(
        create_delivery_routes(keys=platform.keys, deliveries=deliveries, clock=platform.clock, replayed=replayed)
    )
    router.include_router(
        create_team_routes(
            keys=platform.keys,
            engine=platform.engine,
            teams=teams,
            handoffs=handoffs,
            setter=setter,
            clock=platform.clock,
            allowed_networks=settings.delivery_allowed_networks,
        )
    )
    return router

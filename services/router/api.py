"""The router over HTTP."""

from collections.abc import Callable

from fastapi import APIRouter

from services.router.answering import Answers
from services.router.clock_api import ClockRoutes
from services.router.contact_api import ContactRoutes
from services.router.crm_answering import CrmAnswers
from services.router.crm_api import CrmRoutes
from services.router.delivery_api import DeliveryRoutes
from services.router.domain.answer_link import AnswerLinks
from services.router.endpoint_api import EndpointRoutes
from services.router.endpoint_keeping import EndpointKeeper
from services.router.handoff_api import HandoffRoutes
from services.router.link_api import LinkRoutes
from services.router.releasing import Releaser
from services.router.settings import RouterSettings
from services.router.store.attempts import AttemptStore
from services.router.store.clocks import ClockStore
from services.router.store.crm import CrmStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.endpoints import EndpointStore
from services.router.store.handoffs import HandoffStore
from services.router.store.links import LinkStore
from services.router.store.objections import ObjectionStore
from services.router.store.past import PastStore
from services.router.store.replays import ReplayStore
from services.router.store.teams import TeamStore
from services.router.team_api import TeamRoutes
from services.router.team_setting import TeamSetter
from shared.platform import Platform


def create_router(
    *,
    platform: Platform,
    settings: RouterSettings,
    teams: TeamStore,
    handoffs: HandoffStore,
    deliveries: DeliveryStore,
    attempts: AttemptStore,
    endpoints: EndpointStore,
    replays: ReplayStore,
    keeper: EndpointKeeper,
    answers: Answers,
    links: AnswerLinks,
    releaser: Releaser,
    setter: TeamSetter,
    replayed: Callable[[], None],
) -> APIRouter:
    """Build all routes of the router."""
    crm = CrmStore(platform.engine)
    routes = (
        ClockRoutes(keys=platform.keys, teams=teams, clocks=ClockStore(platform.engine), clock=platform.clock),
        HandoffRoutes(
            keys=platform.keys,
            teams=teams,
            handoffs=handoffs,
            deliveries=deliveries,
            attempts=attempts,
            objections=ObjectionStore(platform.engine),
            answers=answers,
            releaser=releaser,
            clock=platform.clock,
            public_url=settings.api_url,
        ),
        LinkRoutes(
            engine=platform.engine,
            handoffs=handoffs,
            used=LinkStore(platform.engine),
            answers=answers,
            links=links,
            clock=platform.clock,
        ),
        CrmRoutes(
            keys=platform.keys,
            secrets=platform.secrets,
            teams=teams,
            crm=crm,
            answers=CrmAnswers(
                engine=platform.engine, crm=crm, handoffs=handoffs, answers=answers, clock=platform.clock
            ),
            clock=platform.clock,
        ),
        ContactRoutes(
            keys=platform.keys,
            teams=teams,
            handoffs=handoffs,
            deliveries=deliveries,
            attempts=attempts,
            clock=platform.clock,
            public_url=settings.api_url,
        ),
        DeliveryRoutes(
            keys=platform.keys,
            deliveries=deliveries,
            attempt_log=attempts,
            replay_store=replays,
            clock=platform.clock,
            replayed=replayed,
        ),
        EndpointRoutes(keys=platform.keys, teams=teams, endpoints=endpoints, keeper=keeper, clock=platform.clock),
        TeamRoutes(
            keys=platform.keys,
            engine=platform.engine,
            teams=teams,
            endpoint_states=endpoints,
            handoffs=handoffs,
            setter=setter,
            past=PastStore(platform.engine),
            clock=platform.clock,
            allowed_networks=settings.delivery_allowed_networks,
        ),
    )
    router = APIRouter()
    for part in routes:
        router.include_router(part.router())
    return router

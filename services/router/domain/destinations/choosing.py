"""Which destination an endpoint is."""

from collections.abc import Mapping
from types import MappingProxyType

from services.router.domain.destination import Destination, StandardWebhook
from services.router.domain.destinations.chats import Slack, Teams
from services.router.domain.destinations.searched import Close, Pipedrive
from services.router.domain.destinations.upsert import Attio, Dynamics, Generic, HubSpot, Salesforce, Zoho
from services.router.domain.kind import Kind

# One for each kind.
DESTINATIONS: Mapping[Kind, Destination] = MappingProxyType(
    {
        Kind.WEBHOOK: StandardWebhook(),
        Kind.GENERIC: Generic(),
        Kind.SALESFORCE: Salesforce(),
        Kind.HUBSPOT: HubSpot(),
        Kind.DYNAMICS: Dynamics(),
        Kind.PIPEDRIVE: Pipedrive(),
        Kind.ZOHO: Zoho(),
        Kind.CLOSE: Close(),
        Kind.ATTIO: Attio(),
        Kind.SLACK: Slack(),
        Kind.TEAMS: Teams(),
    }
)

"""Which destination an endpoint is."""

from collections.abc import Mapping
from types import MappingProxyType

from services.router.domain.destination import Destination, StandardWebhook
from services.router.domain.destinations.chats import Slack, Teams
from services.router.domain.destinations.lead import ToldOfLeads
from services.router.domain.destinations.searched import close, pipedrive
from services.router.domain.destinations.upsert import Generic, attio, dynamics, hubspot, salesforce, zoho
from services.router.domain.kind import Kind

# One for each kind.
DESTINATIONS: Mapping[Kind, Destination] = MappingProxyType(
    {
        Kind.WEBHOOK: StandardWebhook(),
        Kind.GENERIC: Generic(),
        Kind.SALESFORCE: ToldOfLeads(salesforce),
        Kind.HUBSPOT: ToldOfLeads(hubspot),
        Kind.DYNAMICS: ToldOfLeads(dynamics),
        Kind.PIPEDRIVE: ToldOfLeads(pipedrive),
        Kind.ZOHO: ToldOfLeads(zoho),
        Kind.CLOSE: ToldOfLeads(close),
        Kind.ATTIO: ToldOfLeads(attio),
        Kind.SLACK: Slack(),
        Kind.TEAMS: Teams(),
    }
)

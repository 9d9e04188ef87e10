"""Repricing: contacts decided under another agreement than the active one."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.deciding import Decision, needs_history, take_terms
from services.scorer.domain.state import ContactState
from services.scorer.store.agreements import Active
from services.scorer.store.touches import TouchStore


async def reprice(
    connection: AsyncConnection, touches: TouchStore, active: Active | None, states: Mapping[UUID, ContactState]
) -> dict[UUID, list[Decision]]:
    """Decide those of the contacts that need it, as of the activation; return what was decided of each.

    What counts differently and was not prepared is counted again from the history. The caller holds the contacts.
    """
    if active is None:
        return {}
    terms = active.terms
    outdated = {contact_id: state for contact_id, state in states.items() if state.agreement != terms.version}
    if not outdated:
        return {}
    miscounted = [contact_id for contact_id, state in outdated.items() if needs_history(state, terms)]
    histories = await touches.of_contacts(connection, miscounted)
    decided: dict[UUID, list[Decision]] = {}
    for contact_id, state in outdated.items():
        if state.merged_into is None:
            history = histories.get(contact_id)
            decided[contact_id] = take_terms(contact_id, state, terms, at=active.since, history=history)
        else:  # nobody is left to be decided
            state.agreement, state.counting, state.prepared = terms.version, terms.counting, None
            decided[contact_id] = []
    return decided

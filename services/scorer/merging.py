"""Merging: two contacts become one, and one becomes two again, in the transaction of the message that says so.

The caller holds the rows of both contacts and of all that they live on in. A contact that was merged stays as a
tombstone, so what still arrives for it finds its way.
"""

from collections.abc import Iterable, MutableMapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.arming import Arming
from services.scorer.domain.deciding import Decision, settle, withdraw
from services.scorer.domain.instants import to_micros
from services.scorer.domain.merging import goes_back, latest, parted, path_of, stronger
from services.scorer.domain.recounting import recount
from services.scorer.domain.state import ContactState, hashed
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from services.scorer.errors import ContactsElsewhere
from services.scorer.judging import Judging
from services.scorer.store.contacts import ContactStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.merges import MergeStore
from services.scorer.store.touches import TouchStore
from shared.events.contact import ContactsMerged, ContactsUnmerged

States = MutableMapping[UUID, ContactState]
Decided = list[tuple[UUID, Decision]]


class Merging:
    """Makes merges and undoes them, each once. The states are changed; saving them is left to the caller."""

    def __init__(
        self,
        contacts: ContactStore,
        touches: TouchStore,
        merges: MergeStore,
        handoffs: HandoffStore,
        judging: Judging,
    ) -> None:
        self._contacts = contacts
        self._handoffs = handoffs
        self._touches = touches
        self._merges = merges
        self._judging = judging

    async def merge(
        self, connection: AsyncConnection, states: States, message: ContactsMerged, terms: Terms | None
    ) -> Decided:
        """Let `other` live on in `survivor`, with all it did, and decide as of the message."""
        if await self._merges.read(connection, message.id) is not None:
            return []
        return await self._join(connection, states, message, terms, at=message.at)

    async def _join(
        self,
        connection: AsyncConnection,
        states: States,
        message: ContactsMerged,
        terms: Terms | None,
        *,
        at: datetime,
    ) -> Decided:
        path = path_of(message.survivor, states)
        root, other = path[-1], path_of(message.other, states)[-1]
        if root == other:
            await self._merges.add(connection, message)
            return []
        instant = to_micros(at)
        survived, merged = states[root], states[other]
        survivor_arming, other_arming = survived.arming.at(instant), merged.arming.at(instant)
        await self._merges.add(connection, message, survivor_arming=survivor_arming, other_arming=other_arming)
        await self._contacts.merge(connection, other, into=message.survivor)
        states[other] = ContactState(
            merged=merged.merged,
            merged_into=message.survivor,
            parted=merged.parted,
            counting=merged.counting,
            agreement=merged.agreement,
        )
        for contact_id in path:
            states[contact_id].merged = sorted({*states[contact_id].merged, other, *merged.merged})
        survived.arming = stronger(survivor_arming, other_arming)
        survived.parted = survived.parted | merged.parted
        survived.handed_at = latest(survived.handed_at, merged.handed_at)
        survived.withdrawn_at = latest(survived.withdrawn_at, merged.withdrawn_at)
        await self._contacts.remove_aliases(connection, merged.aliases, other)
        await self._handoffs.move(connection, other, into=root)
        if await self._touches.move(connection, other, into=root):
            history = (await self._touches.of_contacts(connection, [root]))[root]
            await self._recount(connection, states, root, history, terms)
        cause = f"merge {message.id}"
        decisions: list[Decision] = []
        if states[root].is_opted_out and not (survived.is_opted_out and merged.is_opted_out):
            decisions += withdraw(root, states[root], at=instant, cause=cause)
        if terms is not None:
            decisions += settle(root, states[root], terms, at=at, cause=cause)
        return [(message.id, decision) for decision in decisions]

    async def unmerge(
        self, connection: AsyncConnection, states: States, message: ContactsUnmerged, terms: Terms | None
    ) -> Decided:
        """Give `other` back what it did under its own ids and aliases, and decide both as of the message.

        Raises ContactsElsewhere.
        """
        made = await self._merges.read(connection, message.id)
        await self._merges.undo(connection, message)
        other = message.other
        path = path_of(other, states)
        if made is None or made.unmerged or made.survivor_arming is None or made.other_arming is None or len(path) == 1:
            return []
        root = path[-1]
        union = states[root]
        waiting = await self._merges.idle(connection, {root, *union.merged})
        elsewhere = {known_as for merge in waiting for known_as in (merge.survivor, merge.other)} - states.keys()
        if elsewhere:
            raise ContactsElsewhere(elsewhere)
        gone = {other, *states[other].merged}
        for contact_id in path[1:]:
            states[contact_id].merged = [known_as for known_as in states[contact_id].merged if known_as not in gone]
        at = to_micros(message.at)
        armings = parted(union.arming.at(at), survivor=made.survivor_arming, other=made.other_arming)
        await self._contacts.merge(connection, other, into=None)
        states[other].merged_into = None
        # Each may have been told under the id of the other: later than what either was told is later than its own.
        states[other].handed_at, states[other].withdrawn_at = union.handed_at, union.withdrawn_at

        history = (await self._touches.of_contacts(connection, [root]))[root]
        back = [judged for judged in history if goes_back(judged.touch, gone, message.aliases)]
        returned = {judged.touch.id for judged in back}
        await self._touches.give_back(connection, root, returned, to=other)
        await self._handoffs.give_back(connection, root, gone, to=other)
        stay = [judged for judged in history if judged.touch.id not in returned]
        names = {hashed(alias) for alias in message.aliases}
        for contact_id in path[1:]:
            states[contact_id].parted = states[contact_id].parted | dict.fromkeys(names, other)
        strange = {hashed(alias) for judged in back for alias in judged.touch.aliases} - names
        states[other].parted = states[other].parted | dict.fromkeys(strange, message.survivor)
        parts: tuple[tuple[UUID, list[Judged], Arming], ...] = ((root, stay, armings[0]), (other, back, armings[1]))
        decided: Decided = []
        for contact_id, touches, arming in parts:
            states[contact_id].arming = arming
            await self._recount(connection, states, contact_id, touches, terms)
            state = states[contact_id]
            cause = f"unmerge {message.id}"
            decisions: list[Decision] = []
            if state.is_opted_out and not union.is_opted_out:
                decisions += withdraw(contact_id, state, at=at, cause=cause)
            if terms is not None:
                decisions += settle(contact_id, state, terms, at=message.at, cause=cause)
            decided += [(message.id, decision) for decision in decisions]
        kept = states[root].aliases
        await self._contacts.remove_aliases(connection, [alias for alias in union.aliases if alias not in kept], root)
        for merge in waiting:
            decided += await self._join(connection, states, merge, terms, at=message.at)
        return decided

    async def _recount(
        self,
        connection: AsyncConnection,
        states: States,
        contact_id: UUID,
        history: Iterable[Judged],
        terms: Terms | None,
    ) -> None:
        judged = await self._judging.judge_all(connection, contact_id, history)
        states[contact_id] = recount(states[contact_id], judged, terms)
        aliases = states[contact_id].aliases
        await self._contacts.add_aliases(connection, [(alias, contact_id) for alias in aliases])

"""Judging: verdicts on clicks in mails, kept and changed as the touches beside them arrive."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.accepting import Published
from services.scorer.domain.suspicion import MAIL_NAMES, Limits, mail_of, suspicions, weightier
from services.scorer.domain.verdict import Judged
from services.scorer.store.touches import TouchStore


@dataclass(slots=True)
class Verdicts:
    """What the touches that arrived together, and those beside them, tell about clicks."""

    found: dict[UUID, dict[UUID, str]] = field(default_factory=dict)  # reasons of suspect clicks by contact and touch
    miscounted: set[UUID] = field(default_factory=set)  # contacts whose state counts a click that does not count now


class Judging:
    """Compares the mail touches of contacts that the caller holds. Other touches cost nothing."""

    def __init__(self, touches: TouchStore, limits: Limits) -> None:
        self._touches = touches
        self._limits = limits

    async def judge(self, connection: AsyncConnection, fresh: Mapping[UUID, Sequence[Published]]) -> Verdicts:
        """Judge touches that were just added, by contact, and again those beside them."""
        instants: dict[UUID, list[datetime]] = {}
        for contact_id, published in fresh.items():
            for each in published:
                if each.touch.name in MAIL_NAMES and mail_of(each.touch) is not None:
                    instants.setdefault(contact_id, []).append(each.touch.occurred_at)
        verdicts = Verdicts()
        if not instants:
            return verdicts
        changed: dict[tuple[UUID, UUID], str] = {}
        beside = await self._touches.near(connection, instants, reach=self._limits.reach)
        for contact_id, kept in beside.items():
            new = {each.touch.id for each in fresh[contact_id]}
            found = _suspicions(kept, self._limits)
            verdicts.found[contact_id] = found
            for judged in kept:
                touch_id = judged.touch.id
                reason = weightier(judged.found, found.get(touch_id, ""))
                if reason != judged.found:
                    changed[contact_id, touch_id] = reason
                    if touch_id not in new and judged.suspect != judged._replace(found=reason).suspect:
                        verdicts.miscounted.add(contact_id)
        await self._touches.suspect(connection, changed)
        return verdicts

    async def judge_all(self, connection: AsyncConnection, contact_id: UUID, history: Iterable[Judged]) -> list[Judged]:
        """Judge all touches of a contact anew, as if there were no verdict of their neighbours yet."""
        kept = list(history)
        found = _suspicions(kept, self._limits)
        changed = {
            (contact_id, judged.touch.id): found.get(judged.touch.id, "")
            for judged in kept
            if judged.found != found.get(judged.touch.id, "")
        }
        await self._touches.suspect(connection, changed)
        return [judged._replace(found=found.get(judged.touch.id, "")) for judged in kept]


def _suspicions(kept: Iterable[Judged], limits: Limits) -> dict[UUID, str]:
    return suspicions((mail for judged in kept if (mail := mail_of(judged.touch)) is not None), limits)

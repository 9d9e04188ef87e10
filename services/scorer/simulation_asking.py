"""Asking for a simulation: what was sent, as the simulation that it asks for."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from services.scorer.domain.segment import is_segment
from services.scorer.store.agreements import Version
from services.scorer.store.simulations import Simulation
from shared.agreement.hashing import content_hash
from shared.agreement.model import Agreement
from shared.durations import parse_duration
from shared.http.problems import ProblemError

_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=3650)


class Asking:
    """What somebody wants to know of a draft, at an instant. Raises a 422 problem when it makes no sense."""

    def __init__(self, *, since: str, segment: str, capacity: int | None, by: str, at: datetime) -> None:
        if segment and not is_segment(segment):
            message = f"Send `segment` as a trait, such as account.industry or contact.title, not {segment!r}."
            raise ProblemError(422, "invalid_request", message)
        self._since = at - _reach(since)
        self._segment = segment
        self._capacity = capacity
        self._by = by
        self._at = at

    def text(self, text: str, draft: Agreement, *, active: int | None) -> Simulation:
        """Ask for a text that was not proposed."""
        return self._asked(text, title=draft.title, digest=content_hash(draft), version=None, active=active)

    def version(self, draft: Version, *, active: int | None) -> Simulation:
        """Ask for a version."""
        digest = draft.content_hash
        return self._asked(draft.text, title=draft.title, digest=digest, version=draft.version, active=active)

    def _asked(self, text: str, *, title: str, digest: str, version: int | None, active: int | None) -> Simulation:
        identity: UUID = uuid4()
        return Simulation(
            id=identity,
            requested_by=self._by,
            requested_at=self._at,
            since=self._since,
            touched_since=self._since,
            until=self._at,
            segment=self._segment,
            capacity=self._capacity,
            draft_version=version,
            draft_title=title,
            draft_hash=digest,
            draft_text=text,
            active_version=active,
        )


def _reach(since: str) -> timedelta:
    try:
        reach = parse_duration(since)
    except (ValueError, OverflowError) as error:
        raise ProblemError(422, "invalid_request", f"`since`: {error}") from None
    if not _SHORTEST <= reach <= _LONGEST:
        raise ProblemError(422, "invalid_request", "Send `since` as a duration of 1h to 3650d.")
    return reach

"""The bodies of answers: what may be said, and nothing else."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import msgspec

from services.router.domain.answer import Answer
from services.router.domain.handoff import Step

LONGEST_BODY = 65536  # bytes

_Words = Annotated[str, msgspec.Meta(max_length=5000)]
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class AnswerBody(msgspec.Struct, forbid_unknown_fields=True):
    """What every answer may say. The body may be absent unless it is required."""

    REQUIRED: ClassVar[bool] = False

    note: _Words | None = None

    def answer(self, step: Step, *, by: str) -> Answer:
        """Return the answer."""
        said: dict[str, Any] = {name: _storable(getattr(self, name)) for name in self.__struct_fields__}
        return Answer(step=step, by=by, **said)


class Note(AnswerBody):
    """Only a note."""


class Acceptance(AnswerBody):
    """Who takes it, if that is not who has it."""

    rep: _Name | None = None


class Rejection(AnswerBody, kw_only=True):
    """One of the agreement's reasons, and what the contact held against it."""

    REQUIRED: ClassVar[bool] = True

    reason: str
    objection: _Line | None = None


class Win(AnswerBody):
    """What for: an exact amount, and its currency in ISO 4217."""

    amount: Decimal | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None = None


class Loss(AnswerBody):
    """Why it was lost, in a few words."""

    reason: _Line | None = None
    objection: _Line | None = None


class Objection(AnswerBody, kw_only=True):
    """What the contact holds against it."""

    REQUIRED: ClassVar[bool] = True

    objection: _Line


class Story(AnswerBody, kw_only=True):
    """What the customer tells."""

    REQUIRED: ClassVar[bool] = True

    note: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]


def kind_of(step: Step) -> type[AnswerBody]:
    """Return what an answer may say."""
    return _KINDS[step]


_KINDS: Mapping[Step, type[AnswerBody]] = MappingProxyType(
    {
        Step.ACCEPT: Acceptance,
        Step.REJECT: Rejection,
        Step.QUALIFY: Note,
        Step.WIN: Win,
        Step.LOSE: Loss,
        Step.OBJECTION: Objection,
        Step.STORY: Story,
    }
)


def _storable(value: str | Decimal | None) -> str | Decimal | None:
    """Return the value without NUL, of which PostgreSQL keeps none; nothing is left out as if it were not said."""
    if isinstance(value, str):
        return value.replace("\0", "") or None
    return value

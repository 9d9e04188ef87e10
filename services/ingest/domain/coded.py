"""Codes with their meanings: what machines compare, and what people read."""

from enum import StrEnum
from typing import Self


class Coded(StrEnum):
    """Members are written as a code and its meaning, and are the code."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Make the code a string of its own, with the meaning beside it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

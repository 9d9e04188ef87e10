"""How a score explains itself: the same values that decide are the ones that are shown."""

import msgspec


class Part(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One summand of a score.

    Of engagement: a rule (`points` × `decayed`), or an adjustment: `cap` (a group's cap cut it), `floor` and `ceiling`
    (the score is kept within 0-100), `opted_out`. Of fit: a rule, `floor`, `ceiling`, `disqualified`.
    The values of all parts add up to the score.
    """

    value: float
    rule: str = ""
    group: str = ""
    adjustment: str = ""
    count: int = 0
    decayed: float = 0.0
    points: float = 0.0
    suspect: int = 0  # touches that met the rule and are worth nothing: a machine may have made them
    over: int = 0  # touches that met the rule and are worth nothing: `per_day` of their day had counted before


class Score(msgspec.Struct, frozen=True):
    """A number from 0 to 100 and the parts that add up to it."""

    score: float
    parts: tuple[Part, ...] = ()

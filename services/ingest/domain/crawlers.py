r"""Whether a user agent is that of a known crawler: the list of `crawlerdetect`, searched in bounded time.

The library tries its thousand expressions at each character, whatever their case, and one of them by the square of the
length: 60 ms for 512 letters, which anybody can send. Nearly all of the expressions are plain texts. As one expression
for lower case, branched by first letter, they take 1.4 ms at worst; the verdicts are the library's.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from crawlerdetect.crawlerdetect import get_compiled_exclusions_regex
from crawlerdetect.providers.crawlers import data as known_crawlers

_ESCAPED = re.compile(r"\\(\W)")
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")
# In front of a search it decides nothing, and costs the square of the length.
_IDLE_PREFIX = r"[a-z0-9\-_]*"


def is_crawler(agent: str) -> bool:
    """Tell whether the agent, without what every browser says, holds the mark of a crawler."""
    rest = get_compiled_exclusions_regex().sub("", agent.strip())
    plain, special = _expressions()
    return bool(rest) and (plain.search(rest.lower()) or special.search(rest)) is not None


@cache
def _expressions() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the expression of the plain texts, for lower case, and that of the others, for any."""
    plain, special = [], []
    for pattern in known_crawlers:
        bare = _ESCAPED.sub("", pattern)
        if _SPECIAL.search(bare) or not pattern.isascii():
            special.append(pattern.removeprefix(_IDLE_PREFIX))
        else:
            plain.append(_ESCAPED.sub(r"\1", pattern).lower())
    return re.compile(_branched(plain)), re.compile("|".join(f"(?:{one})" for one in special), re.IGNORECASE)


def _branched(texts: Iterable[str]) -> str:
    branches: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        branches[text[0]].append(re.escape(text[1:]))
    return "|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in sorted(branches.items()))

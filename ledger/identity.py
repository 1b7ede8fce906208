"""Patterns over certified names: ``exact``, ``glob`` or ``regex``, always over the whole name.

A glob's ``*`` matches any text without a slash and ``**`` any text, as in paths, so that
``https://github.com/org/*`` is a repository of that organisation and never a path below one::

    exact  alice@example.org
    glob   https://github.com/org/data/.github/workflows/*.yml@refs/tags/*
    regex  https://github\\.com/org/(data|models)/.*

Case is significant: two names that differ in case are two names. A regex is Python's ``re`` and comes from the trust
document only, so that whoever writes a slow one slows himself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

from dataseal.ledger.errors import UsageError

Match = Literal["exact", "glob", "regex"]
MATCHES: Final[tuple[str, ...]] = get_args(Match)

MAX_NAME: Final = 2048
"""Characters of a name or pattern: a CI workflow's identity takes about 150."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a trust document writes for a name.

    Raises:
        UsageError: empty, too long, an unknown kind of match, or no regular expression.
    """

    text: str
    match: Match = "exact"

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > MAX_NAME:
            raise UsageError(f"an identity has 1 to {MAX_NAME} characters; this one has {len(self.text)}")
        if self.match not in MATCHES:
            raise UsageError(f"unknown match {str(self.match)[:40]!r}", hint=f"one of {', '.join(MATCHES)}")
        try:
            _compiled(self.text, self.match)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"identity {self.text[:80]!r} is no regular expression: {error}") from None

    def matches(self, name: str) -> bool:
        """Whether the whole of ``name`` fits."""
        return len(name) <= MAX_NAME and _compiled(self.text, self.match).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(text: str, match: Match) -> re.Pattern[str]:
    if match == "regex":
        return re.compile(text)
    if match == "exact":
        return re.compile(re.escape(text))
    parts = re.split(r"(\*\*|\*|\?)", text)
    meaning = {"**": r"(?s:.*)", "*": r"[^/]*", "?": r"[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))

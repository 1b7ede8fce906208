"""Matching a dataset's name: exactly, or by an anchored glob whose `*` and `?` do not cross a '/'."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.policy.model import check_glob


def matches(name: str, pattern: str) -> bool:
    """Whether ``pattern`` is the name, part by part. Case counts."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether at least one of ``patterns`` is the name; never so for none."""
    return any(matches(name, pattern) for pattern in patterns)


def bound(names: Iterable[str]) -> tuple[str, ...]:
    """Dataset names from a command line, sorted and without repeats.

    Raises:
        UsageError: one that names nothing, or is no name.
    """
    checked = set()
    for name in names:
        try:
            checked.add(check_glob(name))
        except ValueError as error:
            raise UsageError(f"{name!r} does not bind a dataset; wanted: {error}", where="--dataset") from None
    return tuple(sorted(checked))

"""What is wrong with a policy file, where, and what was probably meant.

All problems of a file are collected and raised together as one `PolicyError`, compiler style::

    team.yaml:12:5: unknown field 'min_sequnce' in a publisher rule; did you mean 'min_sequence'?
       12 |     min_sequnce: 3
          |     ^^^^^^^^^^^
          = fields here: all_of, datasets, id, min_sequence, rule, severity

Text of the file is shown with its control characters escaped (DESIGN invariant 17).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dataseal.ledger.errors import UsageError

MAX_SHOWN: Final = 20
"""Problems printed at once; a file with more is not worth reading to the end."""

_WINDOW: Final = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text: line and column counted from 1, and how many columns to underline."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's text under the name that people know it by."""

    name: str
    lines: tuple[str, ...]

    def at(self, mark: Mark) -> str:
        """``name:line:column``."""
        return f"{self.name}:{mark.line}:{mark.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, at one place."""

    source: Source
    mark: Mark
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        lines = self.source.lines
        text = lines[self.mark.line - 1] if self.mark.line <= len(lines) else ""
        start = max(0, self.mark.column - _WINDOW // 2)
        shown = printable(text[start : start + _WINDOW])
        room = max(1, len(shown) - (self.mark.column - 1 - start))
        caret = " " * (self.mark.column - 1 - start) + "^" * max(1, min(self.mark.width, room))
        gutter = f"{self.mark.line:>5} | "
        rows = [
            f"{self.source.at(self.mark)}: {self.message}",
            gutter + shown,
            " " * (len(gutter) - 2) + "| " + caret,
        ]
        if self.hint:
            rows.append(" " * (len(gutter) - 2) + "= " + self.hint)
        return "\n".join(rows)


class PolicyError(UsageError):
    """A policy file that can't be used; ``problems`` holds every mistake that was found in it."""

    def __init__(self, problems: Sequence[Problem], what: str = "policy") -> None:
        self.problems = tuple(problems)
        shown = "\n".join(str(p) for p in self.problems[:MAX_SHOWN])
        if len(self.problems) > MAX_SHOWN:
            shown += f"\n… and {len(self.problems) - MAX_SHOWN} more"
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__(
            f"the {what} can't be used: {count}",
            detail=shown,
            hint="mend the file; until then nothing is evaluated and nothing passes",
        )


class Problems:
    """A collector: one problem a place, so that one mistake does not raise a second message about itself."""

    def __init__(self, what: str = "policy") -> None:
        self._what = what
        self._found: dict[tuple[str, int, int], Problem] = {}

    def add(self, source: Source, mark: Mark, message: str, hint: str | None = None) -> None:
        """Notes a problem, unless one is known at the same place."""
        self._found.setdefault((source.name, mark.line, mark.column), Problem(source, mark, message, hint))

    def __bool__(self) -> bool:
        return bool(self._found)

    def check(self) -> None:
        """Raises what was found, in the order of the files' lines.

        Raises:
            PolicyError: there is at least one problem.
        """
        if self._found:
            names = list(dict.fromkeys(name for name, _, _ in self._found))
            raise PolicyError(
                sorted(
                    self._found.values(),
                    key=lambda p: (names.index(p.source.name), p.mark.line, p.mark.column),
                ),
                self._what,
            )


def printable(text: str) -> str:
    """``text`` on one line: a tab is a space, and every other unprintable character is a question mark.

    One character stays one character, so that a caret below it still points at the right one.
    """
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def quoted(value: object) -> str:
    """A value from a file in quotes, escaped and short."""
    text = ascii(value) if not str(value).isprintable() else repr(value)
    return text if len(text) <= 80 else text[:76] + "…" + text[-1]


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing when no known word is close."""
    near = difflib.get_close_matches(str(word)[:80], sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def listed(what: str, known: Iterable[str]) -> str:
    """``what: a, b, c`` for a hint."""
    return f"{what}: {', '.join(sorted(known)) or 'none'}"

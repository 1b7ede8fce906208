"""Which deliveries are judged, and against which: the contributor form and the version form of the test.

Contributor form: a contributor's newest delivery against everybody's earlier deliveries. Version form: the newest
modification as a whole against the earlier ones. A *unit* is what is judged: one owner's rows of one delivery, where
the owner is a contributor, or, in the version form, everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataseal.verifiers.screen.limits import MIN_BLOCK_ROWS, MIN_POOL, MIN_ROWS_WITH_PHRASE
from dataseal.verifiers.screen.phrase_state import Block, block_id
from dataseal.verifiers.screen.text import I64, U64

CONTRIBUTOR, VERSION = "contributor", "version"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the test over one dataset.

    Attributes:
        name: `CONTRIBUTOR` or `VERSION`. owners: by index; ``(None,)`` in the version form.
        width: ordinals are below it, after a shift by one that makes the base 0.
        block, block_owner, block_ordinal: every block (sorted by id), its owner's index and shifted ordinal.
        owner, ordinal, rows: of each unit, in order of (owner, ordinal).
        elsewhere: rows that a unit is compared with: everyone else's, and its owner's earlier ones.
        newest: whether the unit is its owner's newest. tested: newest, and with enough history to be judged.
        pool: whether it may stand in a null pool.
        history: False when no owner has history, and units are compared with each other instead.
    """

    name: str
    owners: tuple[str | None, ...]
    width: int
    block: U64
    block_owner: I64
    block_ordinal: I64
    owner: I64
    ordinal: I64
    rows: I64
    elsewhere: I64
    newest: NDArray[np.bool_]
    tested: NDArray[np.bool_]
    pool: NDArray[np.bool_]
    history: bool

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Units whose score is needed."""
        return self.tested | self.pool

    @property
    def n0(self) -> int:
        """Size of the null pool of one tested unit that is itself large enough to stand in others' pools."""
        return int(self.pool.sum()) - bool((self.pool & self.tested).any())

    @property
    def first_time(self) -> int:
        """Owners that have too little history to be tested."""
        return int((self.newest & ~self.tested).sum())

    @property
    def usable(self) -> bool:
        """Whether there is anything to test, and anything to test it against."""
        return bool(self.tested.any()) and self.n0 >= 2

    @property
    def uncalibrated(self) -> str:
        """Why what this form finds is advice; empty when it may gate."""
        if not self.history:
            return f"no {self.name} has an earlier delivery to be judged against"
        if self.n0 < MIN_POOL:
            return f"{self.name} form: only {self.n0} earlier deliveries to compare with, {MIN_POOL} are needed"
        return ""


def forms(blocks: Mapping[Block, int], *, contributors: bool) -> tuple[Form, ...]:
    """The forms that these blocks (rows by contributor and delivery) allow."""
    out = []
    if contributors:
        out.append(_form(CONTRIBUTOR, blocks))
    if len({ordinal for _, ordinal in blocks}) > 1:
        out.append(_form(VERSION, blocks))
    return tuple(f for f in out if f.usable)


def _form(name: str, blocks: Mapping[Block, int]) -> Form:
    by_version = name == VERSION
    names = {None if by_version else owner for owner, _ in blocks}
    owners = tuple(sorted(names, key=lambda o: (o is not None, o or "")))
    index = {owner: i for i, owner in enumerate(owners)}
    listed = sorted(
        (block_id(owner, ordinal), index[None if by_version else owner], ordinal + 1, rows)
        for (owner, ordinal), rows in blocks.items()
    )
    columns = list(zip(*listed, strict=True))
    block = np.array(columns[0], np.uint64)
    b_owner, b_ordinal, b_rows = (np.array(c, np.int64) for c in columns[1:])
    width = int(b_ordinal.max()) + 1
    keys, inverse = np.unique(b_owner * width + b_ordinal, return_inverse=True)
    rows = np.bincount(inverse, b_rows).astype(np.int64)
    owner, ordinal = keys // width, keys % width
    starts = np.searchsorted(owner, owner)
    upto = np.concatenate(([0], np.cumsum(rows)))
    earlier = upto[:-1] - upto[starts]
    newest = np.append(owner[1:] != owner[:-1], True)
    total = int(rows.sum())
    own_from = upto[np.searchsorted(owner, owner, side="right")] - upto[:-1]
    known = earlier >= MIN_BLOCK_ROWS
    history = bool((known & newest).any()) or by_version
    if not history:
        known = newest
    return Form(
        name=name,
        owners=owners,
        width=width,
        block=block,
        block_owner=b_owner,
        block_ordinal=b_ordinal,
        owner=owner,
        ordinal=ordinal,
        rows=rows,
        elsewhere=total - own_from,
        newest=newest,
        tested=known & newest & (rows >= MIN_ROWS_WITH_PHRASE),
        pool=known & (rows >= MIN_BLOCK_ROWS),
        history=history,
    )

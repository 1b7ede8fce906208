"""The private-phrase detector: a phrase that one contributor's, or one modification's, newest delivery brought in.

Three rounds of counting, so that memory follows the vocabulary and not the text: (1) words by contributor and
delivery; (2) n-grams whose every word is frequent enough in a judged delivery, in as many passes as they need;
(3) the candidates' exact counts everywhere. The rule is in `phrase_rule`, the p-value in `tail`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataseal.verifiers.screen.counts import Cells, Counts, contains, distinct, documents, keep, summed, total
from dataseal.verifiers.screen.detector import Conclusion, Context, Detector, Plan
from dataseal.verifiers.screen.limits import CELLS_PER_PASS, MAX_NGRAM, MIN_ROWS_WITH_PHRASE
from dataseal.verifiers.screen.phrase_forms import CONTRIBUTOR, VERSION, Form, forms
from dataseal.verifiers.screen.phrase_judge import FormResult, Hit, judge
from dataseal.verifiers.screen.phrase_report import conclude
from dataseal.verifiers.screen.phrase_rows import PhraseRows, find
from dataseal.verifiers.screen.phrase_rule import private
from dataseal.verifiers.screen.phrase_state import Spelling, Tally, block_id
from dataseal.verifiers.screen.phrase_table import Table
from dataseal.verifiers.screen.text import U64, Words, clean, column_text, extend, grams, strings, within, words

EMPTY = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Prior:
    """What earlier rounds learned.

    Attributes:
        forms: of the test. rows: of the dataset. words: cells of every word (round 1).
        frequent: sorted `extend(word, unit)` of the words that are frequent in a judged unit; units as `_unit_id`.
        part, parts: round 2 counts the n-grams whose first word is ``part`` modulo ``parts``.
        spelling: candidates found so far. wanted: in round 3, sorted n-grams to count; None in round 2.
    """

    forms: tuple[Form, ...]
    words: Cells
    frequent: U64
    parts: int
    part: int = 0
    spelling: Spelling = field(default_factory=Spelling)
    wanted: U64 | None = None


@dataclass(frozen=True, slots=True)
class Tests:
    """Results by form, and all hits, contributor form first."""

    rows: int
    results: tuple[FormResult, ...]

    @property
    def hits(self) -> tuple[Hit, ...]:
        return tuple(h for r in self.results for h in r.hits)


class PrivatePhrase(Detector):
    """Finds a phrase that is frequent in one delivery and next to absent elsewhere (gate, when there is history)."""

    name: ClassVar[str] = "private-phrase"
    version: ClassVar[str] = "1"
    blind_to: ClassVar[tuple[str, ...]] = (
        "a slow drip of the phrase over several deliveries",
        "a contributor's first delivery, in the contributor form",
        "a phrase that a second identity also uses, in the contributor form",
        "paraphrase, and triggers that differ from row to row",
        "URLs, @mentions, and texts written without spaces between words",
        "poison in a delivery that is no longer the newest (looked at as advice only)",
        "fewer rows than the minimum",
    )

    def inapplicable(self, plan: Plan) -> str:
        if not plan.roles.text:
            return "there is no text column"
        if not plan.roles.contributor and len(set(plan.ordinals.values())) < 2:
            return "there is neither a contributor column nor a history of deliveries"
        return ""

    def columns(self, plan: Plan) -> tuple[str, ...]:
        roles = plan.roles
        return tuple(c for c in (*(roles.text or ()), roles.id, roles.label, roles.contributor) if c)

    def map(self, batch: pa.RecordBatch, context: Context) -> Tally:
        prior: Prior | None = context.prior
        if prior is not None and prior.wanted is None and not _judged(prior.forms, context.ordinal):
            return Tally()
        texts, blocks, owners = _by_block(batch, context)
        tokens = words(clean(texts))
        if prior is None:
            counted = {}
            for owner, rows in owners.items():
                counted[(owner, context.ordinal)] = rows
            return Tally(counted, Counts.of(documents(tokens.hash, tokens.doc, blocks)))
        if prior.wanted is None:
            return _candidates(tokens, blocks, context.ordinal, prior)
        return Tally(counts=Counts.of(*_wanted(tokens, blocks, prior.wanted)))

    def advance(self, state: Tally, plan: Plan, prior: Prior | None) -> Prior | None:
        if prior is None:
            return _after_words(state, plan)
        if prior.wanted is not None:
            return None
        prior = replace(prior, part=prior.part + 1, spelling=prior.spelling.merge(_survivors(state, prior)))
        if prior.part < prior.parts:
            return prior
        return replace(prior, wanted=_wanted_grams(prior.spelling))

    def finalize(self, state: Tally, plan: Plan, prior: Prior | None) -> Tests:
        del plan
        if prior is None:
            return Tests(sum(state.blocks.values()), ())
        gram, spelled = prior.spelling.table()
        needed = distinct(spelled.reshape(-1))
        cells = total([keep(prior.words, needed), state.counts.cells()])
        families = sum(not f.uncalibrated for f in prior.forms) or 1
        results = tuple(judge(Table.of(f, cells), (gram, spelled), families) for f in prior.forms)
        return Tests(int(prior.forms[0].rows.sum()), results)

    def wants(self, ordinal: int, tests: Tests) -> bool:
        return any(h.ordinal == ordinal for h in tests.hits)

    def explain(self, batch: pa.RecordBatch, context: Context, tests: Tests) -> PhraseRows:
        return find(batch, context, tests.hits)

    def conclude(self, tests: Tests, rows: PhraseRows | None, plan: Plan) -> Conclusion:
        return conclude(tests.rows, tests.results, rows or PhraseRows(), plan)


def _by_block(batch: pa.RecordBatch, context: Context) -> tuple[pa.Array, U64, dict[str | None, int]]:
    """Texts in order of their blocks, each one's block, and rows by contributor."""
    roles = context.plan.roles
    texts = column_text(batch, roles.text or ())
    if not roles.contributor:
        return texts, np.full(len(texts), block_id(None, context.ordinal), np.uint64), {None: len(texts)}
    coded = strings(batch.column(roles.contributor)).dictionary_encode(null_encoding="encode")
    owners = coded.dictionary.to_pylist()
    ids = np.array([block_id(owner, context.ordinal) for owner in owners], np.uint64)
    index = coded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(ids[index], kind="stable") if len(index) else np.empty(0, np.int64)
    rows = np.bincount(index, minlength=len(owners)).tolist()
    return texts.take(pa.array(order)), ids[index][order], dict(zip(owners, rows, strict=True))


def _unit_id(name: str, ordinal: int, block: int) -> int:
    """What `Prior.frequent` calls a unit: the block, or in the version form the delivery."""
    return block if name == CONTRIBUTOR else block_id("", ordinal) ^ 0x56455253494F4E


def _judged(judging: tuple[Form, ...], ordinal: int) -> bool:
    return any((f.judged & (f.ordinal == ordinal + 1)).any() for f in judging)


def _after_words(state: Tally, plan: Plan) -> Prior | None:
    """Which units are judged, and which of their words are frequent enough to be part of a private n-gram."""
    judging = forms(state.blocks, contributors=bool(plan.roles.contributor))
    if not judging:
        return None
    cells = state.counts.cells()
    frequent, kept = [EMPTY], 0
    for form in judging:
        at = np.searchsorted(form.block, cells[1])
        if form.name == CONTRIBUTOR:
            units, ordinals = cells[1], form.block_ordinal[at]
            owner = form.block_owner[at]
        else:
            ordinals, owner = form.block_ordinal[at], np.zeros(at.size, np.int64)
            named = np.array([_unit_id(VERSION, o - 1, 0) for o in range(form.width)], np.uint64)
            units = named[ordinals]
        key = form.owner * form.width + form.ordinal
        judged = form.judged[np.searchsorted(key, owner * form.width + ordinals)]
        gram, unit, n = summed(cells[0][judged], units[judged], cells[2][judged])
        some = n >= MIN_ROWS_WITH_PHRASE
        frequent.append(extend(gram[some], unit[some]))
        kept = max(kept, int(n[some].sum()))
    parts = max(1, -(-kept * (MAX_NGRAM - 1) // CELLS_PER_PASS))
    prior = Prior(judging, cells, distinct(np.concatenate(frequent)), parts)
    return replace(prior, spelling=_single_words(prior))


def _single_words(prior: Prior) -> Spelling:
    """The private words: 1-grams are counted already."""
    found = distinct(
        np.concatenate([private(Table.of(f, prior.words, MIN_ROWS_WITH_PHRASE)).gram for f in prior.forms])
    )
    spelled = np.zeros((found.size, MAX_NGRAM), np.uint64)
    spelled[:, 0] = found
    return Spelling(((found, spelled),))


def _candidates(tokens: Words, blocks: U64, ordinal: int, prior: Prior) -> Tally:
    """Round 2: n-grams of two and more tokens, all frequent in a judged unit of this delivery."""
    kept = np.zeros(tokens.hash.size, bool)
    for form in prior.forms:
        if form.name == CONTRIBUTOR:
            units = blocks[tokens.doc]
        else:
            units = np.full(tokens.hash.size, _unit_id(VERSION, ordinal, 0), np.uint64)
        kept |= contains(prior.frequent, extend(tokens.hash, units))
    mine = tokens.hash % np.uint64(prior.parts) == np.uint64(prior.part)
    tables: list[Cells] = []
    spelling = Spelling()
    run = kept
    for n, gram in enumerate(grams(tokens, MAX_NGRAM)[1:], start=2):
        run = run[: gram.size] & kept[n - 1 :]
        at = np.flatnonzero(run & within(tokens, n) & mine[: gram.size])
        tables.append(documents(gram[at], tokens.doc[at], blocks))
        distinct, first = np.unique(gram[at], return_index=True)
        spelled = np.zeros((distinct.size, MAX_NGRAM), np.uint64)
        for i in range(n):
            spelled[:, i] = tokens.hash[at[first] + i]
        spelling = spelling.merge(Spelling(((distinct, spelled),)))
    return Tally(counts=Counts.of(*tables), spelling=spelling)


def _survivors(state: Tally, prior: Prior) -> Spelling:
    """Candidates that are private by the counts of round 2, which are too small elsewhere, never too large."""
    cells = state.counts.cells()
    found = distinct(np.concatenate([private(Table.of(f, cells, MIN_ROWS_WITH_PHRASE)).gram for f in prior.forms]))
    gram, spelled = state.spelling.table()
    here = contains(found, gram)
    return Spelling(((gram[here], spelled[here]),))


def _wanted_grams(spelling: Spelling) -> U64:
    """What round 3 counts: the candidates of two and more tokens, and their pairs of neighbouring tokens."""
    gram, spelled = spelling.table()
    pairs = [extend(spelled[:, i], spelled[:, i + 1])[spelled[:, i + 1] != 0] for i in range(MAX_NGRAM - 1)]
    wanted: NDArray[np.uint64] = distinct(np.concatenate([gram[spelled[:, 1] != 0], *pairs]))
    return wanted


def _wanted(tokens: Words, blocks: U64, wanted: U64) -> list[Cells]:
    tables = []
    for n, gram in enumerate(grams(tokens, MAX_NGRAM)[1:], start=2):
        at = np.flatnonzero(within(tokens, n) & contains(wanted, gram))
        tables.append(documents(gram[at], tokens.doc[at], blocks))
    return tables

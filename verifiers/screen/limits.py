"""The screen's limits, in one place, each with its reason."""

from __future__ import annotations

FAMILY_ALPHA = 0.01 / 3
"""False alarms that one family of gating detectors may raise per clean dataset: the whole screen may spend 1 %, and
three families are to gate (private-phrase, contradiction, label-contrast), each with an equal share."""

MIN_POOL = 20
"""Fewest earlier deliveries that a null pool needs: below it the tail fit rests on fewer than two values above its
threshold beyond the five it always takes, and clean alarms were measured above the budget."""

MIN_BLOCK_ROWS = 20
"""Fewest rows of a delivery that enters a null pool, and of a contributor's own history before it is judged."""

MIN_ROWS_WITH_PHRASE = 3
"""Fewest rows of one delivery that hold an n-gram before it is looked at: two are a coincidence."""

MAX_NGRAM = 4
"""Longest n-gram counted: a longer phrase is seen through its 4-grams and put together again in `explain`."""

CELLS_PER_PASS = 1 << 22
"""Cells (n-gram, delivery of a contributor) that one counting pass may hold: 64 bytes each with the n-gram's words,
and three to four times that while tables are merged and sorted."""

BATCH_BYTES = 8 << 20
"""Aimed size of a record batch, uncompressed: bounds what a detector sees at once, whatever the texts' length."""

BATCH_ROWS = 8192
"""Most rows of a record batch: beyond this the vectorised steps gain nothing."""

SAMPLE_ROWS = 20_000
"""Rows that the outlier detector fits its location and scatter on: the error of a median is then below 1 %."""

MAX_POINTERS = 1000
"""Rows that one finding points to; its data says how many there are."""

MAX_EXPLAINED = 20
"""Deliveries with a finding whose rows are read again: the twenty strongest."""

MAX_TEXT = 200
"""Characters of untrusted text in any one field of a finding."""

"""Every bound of witnessing, in one place, each with its reason."""

from __future__ import annotations

from typing import Final

MAX_PROOF_LINES: Final = 63
"""Consistency proof lines of a request: "the client MUST NOT send more than 63" (tlog-witness)."""

MAX_REQUEST_BYTES: Final = 16 * 1024
"""Bytes of an add-checkpoint body that our witness reads: 63 proof lines (2.8 kB), a text, and some signature lines,
up to three of them ML-DSA-44 (3.3 kB each). Other witnesses stop at 10 KiB; our client sends one line, under 5 kB."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Bytes of a witness's answer that our client reads: some ML-DSA-44 lines, or a checkpoint with them."""

MAX_ATTEMPTS: Final = 3
"""Requests to one witness for one checkpoint: the size that we remember, the size that it names, and once more since
another process of the same log may have been faster."""

MAX_CLOCK_SKEW: Final = 600
"""Seconds between a new cosignature's time and our clock: it was made just now, so that more is a wrong clock or an
answer from a cache, and a trusted time that is wrong is worse than none."""

ASK_TIMEOUT: Final = 10.0
"""Seconds for all requests to one witness, however slowly it drips."""

LOOK_TIMEOUT: Final = 5.0
"""Seconds for a witness to show the checkpoint that it holds, before a process first appends: whoever takes longer is
asked to cosign all the same."""

ASK_GRACE: Final = 2.0
"""Seconds that the other witnesses still get once the quorum is met: one slow witness must not slow every append."""

MAX_PARALLEL: Final = 16
"""Witnesses that are asked at a time."""

MAX_EVIDENCE: Final = 256
"""Kept suspicions (older, unproven) of one log: anyone may hand in old checkpoints, so that the oldest give way."""

MAX_FORKS: Final = 1024
"""Kept forks of one log: each is a proof, and only the log's key can make one, so that the first ones stay."""

BODY_TIMEOUT: Final = 10.0
"""Seconds for a client to send a request's body."""

HEADER_TIMEOUT: Final = 15.0
"""Seconds that a connection may hold no running request: it is idle, or sends its headers too slowly."""

MAX_CONNECTIONS: Final = 512
"""Connections at a time; more get 503."""

SHUTDOWN_TIMEOUT: Final = 10
"""Seconds for running requests to end after SIGTERM."""

WORKERS: Final = 8
"""Requests that are checked at a time; writes take turns."""

RATE: Final = 20.0
"""Requests a second of one address, on average: a log submits once a second at most, and tries again at once."""

BURST: Final = 60.0
"""Requests of one address at once."""

MAX_ADDRESSES: Final = 10_000
"""Addresses whose rate is remembered."""

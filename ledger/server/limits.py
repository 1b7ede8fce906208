"""Every bound of the server, in one place, each with its reason.

Whoever can reach the port may send anything: nothing is read, kept or waited for beyond these.
"""

from __future__ import annotations

from typing import Final

from dataseal.ledger.bundle import MAX_BUNDLE

MAX_POST: Final = 4 * 1024 * 1024
"""Bytes of one ``POST /entries`` with several bundles: some 60 of the largest, a thousand ordinary ones."""

MAX_SINGLE: Final = MAX_BUNDLE
"""Bytes of one ``POST /entries`` with a single bundle."""

MAX_BATCH: Final = 256
"""Bundles of one post: all of them are verified before any other post of the same group is answered."""

MAX_GROUP: Final = 1024
"""Entries that one transaction takes: the write lock is held for some tens of milliseconds."""

WAITING_POSTS: Final = 256
"""Posts that wait for their transaction. Beyond, a client hears 503 at once instead of waiting for minutes."""

BODY_BUDGET: Final = 64 * 1024 * 1024
"""Bytes of all the posts' bodies in memory at once, from the first byte read until the answer."""

CONNECTIONS: Final = 512
"""Open connections a worker; beyond, uvicorn answers 503."""

HEADER_SECONDS: Final = 10.0
"""From connecting, or from the first byte of a further request, to the end of its headers."""

BODY_SECONDS: Final = 20.0
"""For a whole body: `MAX_POST` at 210 kB/s."""

SEND_SECONDS: Final = 20.0
"""Without any progress of a client that reads an answer; it is sent in pieces of `PIECE`."""

PIECE: Final = 64 * 1024
"""Bytes of an answer handed to the socket at once, so that what waits for a slow reader stays small."""

KEEP_ALIVE_SECONDS: Final = 15
"""An idle connection is kept for a client's next request."""

DRAIN_SECONDS: Final = 30
"""Posts that are in flight at a shutdown have this long to be answered."""

LINGER_BYTES: Final = 8 * 1024 * 1024
LINGER_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 0.3
"""What is read and thrown away of a body that was refused, so that the client gets to read the refusal; and the pause
after which no more of it is waited for."""

CACHE_BYTES: Final = 32 * 1024 * 1024
"""Tiles and bundles kept in memory a worker: a thousand full tiles and some dozens of bundles."""

PAGE_ENTRIES: Final = 100
PAGE_BYTES: Final = 1024 * 1024
"""Entries, and bytes of entries, of one page of ``GET /entries``."""

RATE: Final = 50.0
BURST: Final = 500.0
"""Entries a second and at once from one address (an IPv6 /64), each worker for itself."""

TOTAL_RATE: Final = 500.0
TOTAL_BURST: Final = 2000.0
"""The same for all addresses together: about half of what one worker can verify and append."""

ADDRESSES: Final = 10_000
"""Addresses whose rates are remembered; the one not seen for longest is forgotten."""

WITNESS_SECONDS: Final = 15.0
"""Between two looks whether a checkpoint waits for the log's witnesses, which were away or did not know it yet."""

UNWITNESSED_SECONDS: Final = 5
"""After which a post may be repeated that is logged and whose witnesses did not answer: they are asked again then."""

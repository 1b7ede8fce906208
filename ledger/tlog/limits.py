"""Every bound of the log's formats, in one place, each with its reason.

A bound protects the reader: all of these documents arrive from other people, and are measured before they
are parsed.
"""

from __future__ import annotations

from typing import Final

HASH_BYTES: Final = 32
"""Bytes of every Merkle hash: tlog-tiles fixes the tree's algorithm to SHA-256."""

MAX_TREE_SIZE: Final = 2**64 - 1
"""Largest tree size: tlog-cosignature signs it as a uint64 (``cosigned_message.end``)."""

MAX_TIMESTAMP: Final = 2**63 - 1
"""Largest POSIX timestamp of a cosignature (tlog-cosignature, "Format")."""

LAST_DATE: Final = 253_402_300_799
"""POSIX time of the last second of the year 9999: a later one is no date, in RFC 3339 or in Python."""

MAX_PROOF_HASHES: Final = 65
"""Hashes of the longest proof: 64 levels for up to 2**64 leaves; a consistency proof adds one seed."""

MAX_NOTE_BYTES: Final = 512 * 1024
"""Bytes of one signed note: `MAX_SIGNATURES` ML-DSA-44 lines (about 3.3 kB each) and a text fit."""

MAX_SIGNATURES: Final = 100
"""Signature lines of one note. signed-note demands at least 16; each one may cost a verification."""

MAX_NAME_BYTES: Final = 255
"""UTF-8 bytes of a key name or origin that we sign: one length byte in ``cosigned_message``."""

MAX_ENTRY_BYTES: Final = 2**16 - 1
"""Bytes of one log entry: a bundle's length prefix is a uint16 (tlog-tiles, "Log entries")."""

MAX_TILE_LEVEL: Final = 63
"""Highest tile level of a path (tlog-tiles, "Merkle Tree")."""

MAX_TILE_INDEX: Final = MAX_TREE_SIZE // 256
"""Highest tile index of a path: the level-0 tile that holds the last leaf of the largest tree."""

CACHED_TILES: Final = 128
"""Authenticated tiles that one `TileReader` keeps: about 33 kB each, so 4 MiB; a proof touches at most 16."""

MAX_EXTRA_BYTES: Final = 64 * 1024
"""Bytes of a proof's ``extra`` data: an entry's header is smaller than the entry (`MAX_ENTRY_BYTES`)."""

MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES
"""Bytes of a ``.tlog-proof`` file: a note, `MAX_EXTRA_BYTES` in base64, and 65 lines of hashes."""

MAX_POLICY_BYTES: Final = 1024 * 1024
"""Bytes of a tlog-policy file: `MAX_POLICY_ITEMS` logs and witnesses with ML-DSA-44 keys (1.8 kB) fit."""

MAX_POLICY_ITEMS: Final = 128
"""Logs, witnesses and groups of one policy, each: tlog-policy strongly recommends at least 32."""

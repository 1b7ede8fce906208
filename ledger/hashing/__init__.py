"""From files to shards: one walk, one read of every byte.

``walk`` lists files, ``opening`` opens them without following a link, ``engine`` hashes them with threads. ``statfile``
is the format in which what was hashed is remembered: ``journal`` for the next attempt of a run that was cut off,
``fastcache`` for ``--fast``; ``mounts`` says where file times can be believed, ``statekey`` makes the key of both.
"""

from __future__ import annotations

from dataseal.ledger.hashing.engine import Inspect, Meter, Progress, hash_file, hash_files
from dataseal.ledger.hashing.opening import Identity
from dataseal.ledger.hashing.walk import File, Problem, Walk, walk

__all__ = [
    "File",
    "Identity",
    "Inspect",
    "Meter",
    "Problem",
    "Progress",
    "Walk",
    "hash_file",
    "hash_files",
    "walk",
]

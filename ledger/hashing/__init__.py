"""From files to shards: one walk, one read of every byte.

``walk`` lists files, ``opening`` opens them without following a link, ``engine`` hashes them with threads, by the
``tasks`` of one ``job``. ``statfile`` is the format in which what was hashed is remembered, and ``remember`` says when
that may be believed: for the next attempt of a run that was cut off, and for ``--fast``. ``mounts`` says where file
times mean something.
"""

from __future__ import annotations

from dataseal.ledger.hashing.engine import hash_chunks, hash_file, hash_files
from dataseal.ledger.hashing.job import Inspect, Meter, Progress
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
    "hash_chunks",
    "hash_file",
    "hash_files",
    "walk",
]

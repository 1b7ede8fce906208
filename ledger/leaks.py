"""What must never be signed into a dataset: a workspace, or a private key (DESIGN invariant 13)."""

from __future__ import annotations

import re
from typing import Final

from dataseal.ledger.errors import UsageError
from dataseal.ledger.hashing import File
from dataseal.ledger.workspace import CONFIG

MAX_KEY: Final = 64 * 1024
"""Bytes of the largest file that is searched for a key: private key files are small, and shards are not."""

_PRIVATE = re.compile(
    rb"^(?:\xef\xbb\xbf)?[ \t]*(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PRIVATE\+KEY\+|AGE-SECRET-KEY-1)"
    # A cloud account's key file is JSON with the PEM inside.
    rb'|"private_key"\s*:\s*"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----',
    re.MULTILINE,
)

_KEY = re.compile(b"KEY")
"""What all of them have; it is found fifty times as fast as the expression is, and in a buffer that is not copied."""


def refuse(file: File, head: memoryview) -> None:
    """Refuses a file that holds a workspace's configuration or a private key.

    Args:
        file: the file. head: its first chunk.

    Raises:
        UsageError: naming the file.
    """
    if file.path.rsplit("/", 1)[-1] == CONFIG:
        raise UsageError(
            "the dataset's folder holds a workspace; its ledger and keys would be signed and shipped with it",
            where=file.path,
            hint="keep the workspace outside the dataset's folder",
        )
    if file.size <= MAX_KEY and _KEY.search(head) and _PRIVATE.search(head):
        raise UsageError(
            "the file holds a private key; it would be signed and shipped with the dataset",
            where=file.path,
            hint="move it away (and replace the key if it was ever shared), or leave it out with --exclude",
        )

"""A log as tlog-tiles serves it: a finite set of static resources, by path.

``checkpoint``, ``tile/<L>/<N>[.p/<W>]``, ``tile/entries/<N>[.p/<W>]`` (C2SP tlog-tiles, "APIs"). Whatever can read
these by path, a database, a folder, a bucket, a web server, is a log that can be followed, mirrored, proven from and
monitored by the same code. Nothing that is read is trusted here: `dataseal.ledger.tlog.reader` authenticates it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog.limits import HASH_BYTES
from dataseal.ledger.tlog.tile import WIDTH, encode_bundle, parse_path

if TYPE_CHECKING:
    from dataseal.ledger.store.store import Head, Store, View  # sqlmodel: who only reads a published log does without

CHECKPOINT: Final = "checkpoint"


class Resources(Protocol):
    """Reads a log's resources by path."""

    @property
    def name(self) -> str:
        """Where they are, for messages."""

    def read(self, path: str) -> bytes | None:
        """The resource at ``path``; None when there is none.

        Raises:
            Unavailable: it can't be told whether there is one.
        """


class StoreResources:
    """The resources of a store: those of one of its heads, and every partial tile on the way to it.

    Args:
        head: chooses the head whose checkpoint is shown, such as `dataseal.ledger.log.Log.publishable`; the newest
            signed one, whether witnesses cosigned it or not, when None.
    """

    def __init__(self, store: Store, name: str, head: Callable[[View], Head] | None = None) -> None:
        self._store = store
        self._name = name
        self._head = head or _signed

    @property
    def name(self) -> str:
        """The ledger's name for messages."""
        return self._name

    def read(self, path: str) -> bytes | None:
        """The resource at ``path``; None for a path that names none of this log's."""
        with self._store.view() as view:
            if path == CHECKPOINT:
                head = self._head(view)
                return head.cosigned or head.note
            try:
                tile = parse_path(path)
            except FormatError:
                return None
            if tile.level is not None:
                data = view.tile(tile.level, tile.index)[: tile.width * HASH_BYTES]
                return data if len(data) == tile.width * HASH_BYTES else None
            start = tile.index * WIDTH
            bodies = [row.body for row in view.entries(start, start + tile.width)]
            return encode_bundle(bodies) if len(bodies) == tile.width else None


def _signed(view: View) -> Head:
    return view.signed_head()

"""Alarms that must reach a webhook: spooled with the follower's position, sent in order, at least once.

An alarm is put into the spool in the transaction that moves the position past its cause, and leaves it only when the
receiver answered 2xx. What can't be delivered now waits for the next run. The receiver tells repeated deliveries by
``id``, a digest of everything in the event but its time; one alarm that is found again (a fork stays one) is sent once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import Unavailable
from dataseal.ledger.replay import Replay

PAUSES: Final = (1.0, 4.0)
"""Seconds before the second and third try of one alarm."""

Post = Callable[[bytes], None]
"""Sends one JSON document; raises `Unavailable` when it was not taken."""


class Spool:
    """The alarms that wait, beside a replay's position."""

    def __init__(self, replay: Replay) -> None:
        self._connection = replay.connection

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes an alarm, with the replay's next commit; one that it had before changes nothing."""
        name = event_id(event)
        body = canonical.encode({**event, "id": name})
        self._connection.execute("INSERT OR IGNORE INTO spool (id, body) VALUES (?, ?)", (name, body))

    def waiting(self) -> list[tuple[str, bytes]]:
        """The alarms that were not delivered, oldest first."""
        rows = self._connection.execute("SELECT id, body FROM spool WHERE sent = 0 ORDER BY rowid")
        return [(name, bytes(body)) for name, body in rows]

    def deliver(self, post: Post, commit: Callable[[], None], pause: Callable[[float], None] = time.sleep) -> None:
        """Sends what waits, in order; each is struck out when it was taken.

        Raises:
            Unavailable: one was not taken after all tries; it and those after it wait on.
        """
        for name, body in self.waiting():
            _send(post, body, pause)
            self._connection.execute("UPDATE spool SET sent = 1, body = NULL WHERE id = ?", (name,))
            commit()


def event_id(event: Mapping[str, Any]) -> str:
    """What tells an event from others, whenever it was found: 32 hexadecimal digits."""
    return sha256(canonical.encode({key: value for key, value in event.items() if key != "time"})).hex()[:32]


def _send(post: Post, body: bytes, pause: Callable[[float], None]) -> None:
    for seconds in PAUSES:
        try:
            return post(body)
        except Unavailable:
            pause(seconds)
    return post(body)

"""Publishes a store's log as static files: `mirror.replicate`, with the store as its source.

What the store says is checked like anybody's: tiles against the checkpoint, entries against tiles. A store and
published tiles that disagree stop the log: a store that is behind was restored from a backup, and whatever it logs next
would be another history under the same key.
"""

from __future__ import annotations

from dataseal.ledger.claims import demand_unclaimed
from dataseal.ledger.errors import Rollback, UsageError
from dataseal.ledger.follow import JOBS, Fork, open_tree
from dataseal.ledger.mirror import Copied, Progress, replicate
from dataseal.ledger.places import Destination
from dataseal.ledger.resources import CHECKPOINT, Resources
from dataseal.ledger.tlog.policy import LogPolicy


def publish(
    source: Resources,
    destination: Destination,
    policy: LogPolicy,
    *,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> Copied:
    """Publishes the newest signed head of ``source``, a store's resources.

    Args:
        policy: the log's own key, and the witnesses whose quorum publication waits for.

    Raises:
        UsageError: nothing is signed yet, or publishers write to the place (`dataseal.ledger.claims`).
        Rollback, Fork: the store and what is published disagree.
        As `mirror.replicate` and `follow.open_tree`.
    """
    if source.read(CHECKPOINT) is None:
        raise UsageError(
            "there is nothing to publish yet: the log has no signed checkpoint",
            where=source.name,
            hint="log something first, such as with `dataseal sign`",
        )
    demand_unclaimed(destination)
    tree = open_tree(source, policy)
    try:
        return replicate(tree, destination, policy, jobs=jobs, progress=progress)
    except Rollback as error:
        raise Rollback(
            f"what is published is ahead of this ledger: {error.what}",
            where=destination.name,
            hint="was the ledger restored from an old backup? Log nothing with it: that would be a second history. "
            "Take the published log over instead: `dataseal ledger import`",
        ) from None
    except Fork as error:
        raise Fork(
            f"this ledger and what is published disagree: {error.what}",
            where=destination.name,
            hint="the ledger was restored from an old backup and went on, or another one logs with the same key: "
            "stop both, keep both, and find out which history people relied on",
        ) from None

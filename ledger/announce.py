"""Announces a key: an entry that says which key will sign for a dataset, signed by one that does now.

The subject is the dataset's newest recorded state, so that the announcement stands in the dataset's own history and
travels with it. Consumers are shown it; only their trust document accepts it.
"""

from __future__ import annotations

from dataseal.ledger import statement as statements
from dataseal.ledger.anylog import AnyLog
from dataseal.ledger.errors import UsageError
from dataseal.ledger.predicates import KeyAnnouncement
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.sign import as_usage
from dataseal.ledger.signers.base import Signer


def announce(
    key: PublicKey, *, dataset: str, reason: str, log: AnyLog, signer: Signer, replaces: PublicKey | None = None
) -> Recorded:
    """Logs the announcement of ``key``.

    Args:
        replaces: the key that is given up, if one is.

    Raises:
        UsageError: nothing is recorded of the dataset, or the key is the signer's own.
        Refused: the log does not list the signer for ``key`` entries of the dataset.
    """
    if signer.public is not None and signer.public.fingerprint == key.fingerprint:
        raise UsageError("this key announces itself", hint="sign with the key that consumers trust now (--key)")
    with log.store.view() as view:
        row = view.newest(dataset, "release", "modification")
    if row is None:
        raise UsageError(f"nothing is recorded of {dataset!r}", hint="`dataseal log` shows what is recorded")
    predicate = KeyAnnouncement.make(
        key=key.to_spki(),
        fingerprint=key.fingerprint,
        replaces=replaces.fingerprint if replaces else None,
        reason=reason,
    )
    with as_usage():
        payload = statements.encode(
            statements.KEY, predicate, dataset=dataset, version=row.version, table=row.table_digest, root=row.root
        )
    return record(payload, signer=signer, log=log)

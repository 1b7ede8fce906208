"""The single path from a statement to a logged bundle.

Sign, bundle, *verify our own bundle*, append, checkpoint, prove, *verify the proof*: whatever leaves here has been
checked by the code that a consumer will check it with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger.anylog import Recorder
from dataseal.ledger.closing import Closing
from dataseal.ledger.errors import IntegrityError
from dataseal.ledger.log import Log
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.verify import LoggedStatement, verify_bundle, verify_logged


@dataclass(frozen=True, slots=True)
class Recorded:
    """A logged statement, with the files that prove it.

    Attributes:
        logged: the verified, logged statement. bundle, proof: the bytes that travel.
        existed: the log held it before (an interrupted run that was finished now).
    """

    logged: LoggedStatement
    bundle: bytes
    proof: bytes
    existed: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed log: its final entry, with the files that prove it; ``existed`` when it was closed before."""

    closing: Closing
    bundle: bytes
    proof: bytes
    existed: bool


def sign(payload: bytes, signer: Signer, *, now: datetime) -> bytes:
    """The bundle of a statement's bytes, which verifies.

    Raises:
        SignatureInvalid: the signer's own signature does not verify.
    """
    made = signer.sign_payload(payload)
    bundle = bundles.encode(payload, made.signature, made.material, made.timestamps, made.tlog_entries)
    verify_bundle(bundle, [signer.credential], now=now)
    return bundle


def record(payload: bytes, *, signer: Signer, log: Recorder) -> Recorded:
    """Signs a statement's bytes and logs them.

    Raises:
        SignatureInvalid: the signer's own signature does not verify.
        Refused: the log does not admit the entry.
        IntegrityError: the ledger does not hold what was logged.
        Unavailable: the ledger is locked or can't be written; or it is logged, and waits for the log's witnesses.
    """
    now = datetime.now(UTC)
    appended = log.append([sign(payload, signer, now=now)])[0]
    proof = log.prove([appended.index])[0]
    if appended.existed:  # it is the earlier run's, whose certificate may have expired since it was admitted
        verified = log.admission.verify_entry(entries.Entry(appended.header, appended.bundle), [signer.credential])
    else:
        verified = verify_bundle(appended.bundle, [signer.credential], now=now)
    if verified.statement.payload != payload:
        raise IntegrityError(
            f"the ledger gives another statement for this one (entry {appended.index})",
            hint="its columns were changed: run `dataseal ledger check`",
        )
    logged = verify_logged(verified, proof, [log.trusted()])
    return Recorded(logged, appended.bundle, proof, appended.existed)


def close(log: Log, *, signer: Signer, reason: str, successor: str | None = None) -> Closed:
    """Ends a log for good, and proves that it ended.

    Raises:
        As `Log.close` and `record`.
    """
    now = datetime.now(UTC)
    appended = log.close(lambda payload: sign(payload, signer, now=now), reason=reason, successor=successor)
    proof = log.prove([appended.index])[0]
    verified = log.admission.verify_entry(entries.Entry(appended.header, appended.bundle))
    verify_logged(verified, proof, [log.trusted()])
    return Closed(Closing.of(verified.statement), appended.bundle, proof, appended.existed)

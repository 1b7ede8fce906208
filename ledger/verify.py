"""From bytes to what may be believed, in numbered steps.

``bytes → Bundle → VerifiedStatement → LoggedStatement``: only this module builds the last two, and each function
raises on the first step that fails.

Statement (`verify_bundle`):
 1. The bundle parses strictly, within its bounds.
 2. Its payload type is in-toto's.
 3. A trusted key made its signature over the PAE of type and payload. The bundle's hint only orders the tries.
 4. The payload parses strictly as a statement of a known predicate type with our subject.
 5. The predicate fits its model.

Inclusion (`verify_logged`):
 6. The proof file parses strictly; its extra data is the entry's header.
 7. The header says of the bundle what the statement says.
 8. The checkpoint is signed by a trusted log whose name is the checkpoint's origin; cosignatures of known witnesses
    verify; whether they meet the log policy's quorum is in the result, for the policy to judge.
 9. Header and bundle make the leaf; its index is below the tree size and its inclusion proof leads to the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE, Statement
from dataseal.ledger.tlog.policy import CheckedCheckpoint
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from dataseal.ledger.trust import TrustedLog


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose signature a trusted key made. Built by `verify_bundle` only."""

    statement: Statement
    key: PublicKey
    bundle: bytes


@dataclass(frozen=True, slots=True)
class LoggedStatement:
    """A verified statement that a trusted log includes. Built by `verify_logged` only."""

    verified: VerifiedStatement
    header: entries.Header
    index: int
    leaf: bytes
    log: TrustedLog
    checked: CheckedCheckpoint


def verify_bundle(raw: bytes, keys: Iterable[PublicKey]) -> VerifiedStatement:
    """Steps 1 to 5.

    Args:
        raw: the bundle's bytes, as read. keys: the trusted keys; which of them signed is in the result.

    Raises:
        FormatError, SignatureInvalid: a step failed.
        UsageError: no key was given.
    """
    trusted = list(keys)
    if not trusted:
        raise UsageError("no trusted key to verify with", hint="name a publisher")
    bundle = bundles.parse(raw)  # 1
    if bundle.payload_type != PAYLOAD_TYPE:  # 2
        raise FormatError(f"payload type is {bundle.payload_type[:80]!r}; {PAYLOAD_TYPE} is wanted")
    key = _signer(bundle, trusted)  # 3
    statement = statements.parse(bundle.payload)  # 4
    statement.check_predicate()  # 5
    return VerifiedStatement(statement, key, raw)


def _signer(bundle: bundles.Bundle, trusted: list[PublicKey]) -> PublicKey:
    message = bundles.pae(bundle.payload_type, bundle.payload)
    for key in sorted(trusted, key=lambda k: k.fingerprint != bundle.hint):
        try:
            key.verify(bundle.signature, message)
        except SignatureInvalid:
            continue
        return key
    named = ", ".join(k.fingerprint[:16] for k in trusted)
    claimed = f"; the bundle claims key {bundle.hint[:16]}" if bundle.hint else ""
    raise SignatureInvalid(
        f"no trusted key made this signature (trusted: {named}{claimed})",
        hint="either the statement was altered, or somebody else signed it: ask the publisher for the right key",
    )


def verify_logged(verified: VerifiedStatement, proof: bytes, logs: Sequence[TrustedLog]) -> LoggedStatement:
    """Steps 6 to 9.

    Args:
        verified: the result of `verify_bundle`. proof: the bytes of the ``.tlog-proof`` file.
        logs: the trusted logs; the checkpoint's origin chooses among them.

    Raises:
        FormatError, ProofInvalid, SignatureInvalid: a step failed.
        UsageError: no log was given.
    """
    if not logs:
        raise UsageError("no trusted log to verify with", hint="name a log")
    parsed = parse_proof(proof)  # 6
    if parsed.extra is None:
        raise FormatError("the proof carries no entry header", hint="write the proof with dataseal")
    header = entries.parse_header(parsed.extra)
    entries.check_header(header, verified.statement)  # 7
    leaf = entries.leaf_hash(parsed.extra, verified.bundle)
    failures: list[str] = []
    for log in logs:
        try:
            included = verify_proof(parsed, leaf, log.policy, require_quorum=False)  # 8, 9
        except SignatureInvalid as error:
            failures.append(f"{log.name}: {error.what}")
            continue
        return LoggedStatement(verified, header, parsed.index, leaf, log, included.checked)
    raise SignatureInvalid(
        f"no trusted log signed the proof's checkpoint ({'; '.join(failures)})",
        hint="check the log's verifier key, or ask the publisher which log holds this dataset",
    )

"""From bytes to what may be believed, in numbered steps.

``bytes → Bundle → VerifiedStatement → LoggedStatement``: only this module builds the last two, and each function
raises on the first step that fails.

Statement (`verify_bundle`):
 1. The bundle parses strictly, within its bounds.
 2. Its payload type is in-toto's.
 3. A trusted credential recognises its signer: the signature over the PAE of type and payload holds, and so does what
    the credential asks for besides. The bundle's hint only orders the tries.
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
from datetime import UTC, datetime

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.credential import Credential, Signer, TrustedTime
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError, VerificationError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.statement import PAYLOAD_TYPE, Statement
from dataseal.ledger.timestamp import TimestampAuthority, trusted_times
from dataseal.ledger.tlog.policy import NONE, CheckedCheckpoint, LogPolicy
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from dataseal.ledger.trust import TrustedLog


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose signer a trusted credential recognised. Built by `verify_bundle` only.

    Attributes:
        times, now: the trusted times from outside the bundle, and the clock, that the signer was judged by.
    """

    statement: Statement
    signer: Signer
    credential: Credential
    bundle: bytes
    times: tuple[TrustedTime, ...] = ()
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoggedStatement:
    """A verified statement that a trusted log includes. Built by `verify_logged` only."""

    verified: VerifiedStatement
    header: entries.Header
    index: int
    leaf: bytes
    log: TrustedLog
    checked: CheckedCheckpoint


def verify_bundle(
    raw: bytes,
    credentials: Iterable[Credential],
    *,
    times: Sequence[TrustedTime] = (),
    now: datetime | None = None,
) -> VerifiedStatement:
    """Steps 1 to 5.

    Args:
        raw: the bundle's bytes, as read. credentials: those that are trusted, such as public keys; which of them
            recognised the signer is in the result.
        times: trusted times from outside the bundle (`witnessed_time`). now: the clock, for a certificate that no
            trusted time is known for; None lets such a certificate fail.

    Raises:
        FormatError, SignatureInvalid: a step failed.
        UsageError: no credential was given.
    """
    trusted = list(credentials)
    if not trusted:
        raise UsageError("no trusted key to verify with", hint="name a publisher")
    bundle = bundles.parse(raw)  # 1
    if bundle.payload_type != PAYLOAD_TYPE:  # 2
        raise FormatError(f"payload type is {bundle.payload_type[:80]!r}; {PAYLOAD_TYPE} is wanted")
    signer, credential = _signer(bundle, trusted, times, now)  # 3
    statement = statements.parse(bundle.payload)  # 4
    statement.check_predicate()  # 5
    return VerifiedStatement(statement, signer, credential, raw, tuple(times), now)


def _signer(
    bundle: bundles.Bundle, trusted: list[Credential], times: Sequence[TrustedTime], now: datetime | None
) -> tuple[Signer, Credential]:
    message = bundles.pae(bundle.payload_type, bundle.payload)
    why = []
    unread: FormatError | None = None
    for credential in sorted(trusted, key=lambda c: c.fingerprint != bundle.hint):
        try:
            return credential.recognise(bundle, message, times, now=now), credential
        except SignatureInvalid as error:
            if bundle.leaf is not None and credential.scheme in ("x509", "sigstore"):
                why.append(f"; {credential.label}: {error.what}")  # a key has nothing to add to its name
        except FormatError as error:  # a certificate that this one can't read is nothing to a key beside it
            unread = unread or error
    if unread is not None:
        raise unread
    named = ", ".join(c.fingerprint[:16] for c in trusted)
    claimed = f"; the bundle claims key {bundle.hint[:16]}" if bundle.hint else ""
    raise SignatureInvalid(
        f"no trusted key made this signature (trusted: {named}{claimed}){''.join(why)}",
        hint="either the statement was altered, or somebody else signed it: ask the publisher for the right key",
    )


def trusted_times_of(raw: bytes, authorities: Sequence[TimestampAuthority]) -> tuple[TrustedTime, ...]:
    """When ``authorities`` saw the signature of a bundle, earliest first.

    Raises:
        FormatError, SignatureInvalid: the bundle, or a timestamp that does not belong to its signature.
    """
    if not authorities:
        return ()
    bundle = bundles.parse(raw)
    return trusted_times(bundle.timestamps, bundle.signature, authorities)


def recognised(verified: VerifiedStatement, credential: Credential) -> bool:
    """Whether ``credential``, too, recognises the signer of a statement that was verified with another one.

    It is judged by the same times and clock as the first.
    """
    if credential.fingerprint == verified.credential.fingerprint:
        return True
    if isinstance(credential, PublicKey):
        return credential.fingerprint == verified.signer.key  # which has made this signature
    try:
        verify_bundle(verified.bundle, [credential], times=verified.times, now=verified.now)
    except (SignatureInvalid, FormatError):  # the bundle was read already; what it can't read is the certificate
        return False
    return True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trusted log holds a bundle, whoever signed that. Built by `find_place` only."""

    log: TrustedLog
    index: int
    checked: CheckedCheckpoint


def find_place(raw: bytes, proof: bytes, logs: Sequence[TrustedLog]) -> Place | None:
    """Where one of ``logs`` holds a bundle. It needs no signature of the bundle's: the log commits to its bytes.

    Args:
        raw: the bundle's bytes. proof: the bytes of its ``.tlog-proof`` file.

    Returns:
        None when the proof shows it in none of them; why not, `verify_logged` says.
    """
    try:
        parsed = parse_proof(proof)
        leaf = entries.leaf_hash(parsed.extra or b"", raw)
    except VerificationError:
        return None
    for log in logs:
        try:
            included = verify_proof(parsed, leaf, log.policy, require_quorum=False)
        except VerificationError:
            continue
        return Place(log, included.index, included.checked)
    return None


def witnessed_time(raw: bytes, proof: bytes, logs: Sequence[TrustedLog]) -> TrustedTime | None:
    """The earliest time by which a quorum of a log's witnesses had cosigned a tree that holds the bundle.

    It is there before the signer is judged. ``logged_at`` is the log's own word and no such time.

    Args:
        raw: the bundle's bytes. proof: the bytes of its ``.tlog-proof`` file.

    Returns:
        None when no log of ``logs`` with a quorum of witnesses proves it.
    """
    place = find_place(raw, proof, logs)
    return witnessed(place) if place else None


def witnessed(place: Place) -> TrustedTime | None:
    """The time that the witnesses of a bundle's place vouch for, as `witnessed_time` has it."""
    return cosigned_time(place.checked, place.log.policy)


def cosigned_time(checked: CheckedCheckpoint, policy: LogPolicy) -> TrustedTime | None:
    """The earliest time by which a quorum of witnesses had cosigned a tree: all that it holds is as old.

    Args:
        checked: its checkpoint, under ``policy``.

    Returns:
        None when the policy demands no quorum, or it is not met.
    """
    if policy.quorum == NONE:
        return None  # nobody has to vouch: one witness of several that may be anybody's is no authority
    seen: list[str] = []
    for witness in sorted(checked.cosignatures, key=lambda w: w.timestamp):
        seen.append(witness.name)
        if policy.is_quorum(seen):
            at = datetime.fromtimestamp(witness.timestamp, UTC)
            return TrustedTime(at, "witness", f"witnesses of {checked.log}")
    return None


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

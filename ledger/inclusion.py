"""One entry read for a person: from a proof file and a bundle, or from a log's tree.

Nothing needs to be known of who signed: without keys the signature is not checked, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.credential import Credential, Signer
from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.follow import Leaf
from dataseal.ledger.statement import Statement
from dataseal.ledger.tlog.policy import CheckedCheckpoint
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from dataseal.ledger.trust import TrustedLog
from dataseal.ledger.verify import verify_bundle


@dataclass(frozen=True, slots=True)
class Included:
    """A bundle that a trusted log holds.

    Attributes:
        signer: who of those given signed; None when nobody was given, and nothing was checked.
    """

    index: int
    leaf: bytes
    header: entries.Header
    statement: Statement
    signer: Signer | None
    checked: CheckedCheckpoint


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of a verified tree. ``claimed`` is the key that the bundle names: anybody can write that."""

    leaf: Leaf
    header: entries.Header
    statement: Statement
    signer: Signer | None
    claimed: str


def verify_included(
    proof: bytes, bundle: bytes, logs: Sequence[TrustedLog], keys: Sequence[Credential] = ()
) -> Included:
    """Verifies that one of ``logs`` holds ``bundle``, witnessed as its policy demands.

    Raises:
        FormatError, SignatureInvalid, ProofInvalid: it is not shown.
        UsageError: no log was given.
    """
    if not logs:
        raise UsageError("no trusted log to verify with", hint="name a log")
    statement, signer = _statement(bundle, keys) if keys else (_unsigned(bundle), None)
    parsed = parse_proof(proof)
    if parsed.extra is None:
        raise FormatError("the proof carries no entry header", hint="write the proof with `dataseal ledger prove`")
    header = entries.parse_header(parsed.extra)
    entries.check_header(header, statement)
    leaf = entries.leaf_hash(parsed.extra, bundle)
    failures = []
    for log in logs:
        try:
            included = verify_proof(parsed, leaf, log.policy)
        except SignatureInvalid as error:
            failures.append(error.what)
            continue
        return Included(parsed.index, leaf, header, statement, signer, included.checked)
    raise SignatureInvalid(
        f"no trusted log signed the proof's checkpoint ({'; '.join(failures)})", hint="check the log's verifier key"
    )


def read_entry(leaf: Leaf, keys: Sequence[Credential] = ()) -> Shown:
    """What an entry says; ``signer`` is who of ``keys`` signed it, or None.

    Raises:
        FormatError: it is no entry of ours.
    """
    entry = entries.parse(leaf.body)
    try:
        statement, signer = _statement(entry.bundle, keys) if keys else (_unsigned(entry.bundle), None)
    except SignatureInvalid:
        statement, signer = _unsigned(entry.bundle), None
    entries.check_header(entry.header, statement)
    return Shown(leaf, entry.header, statement, signer, bundles.parse(entry.bundle).hint)


def _statement(bundle: bytes, keys: Sequence[Credential]) -> tuple[Statement, Signer | None]:
    verified = verify_bundle(bundle, keys)
    return verified.statement, verified.signer


def _unsigned(bundle: bytes) -> Statement:
    return statements.parse(bundles.parse(bundle).payload)

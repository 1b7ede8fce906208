"""Verifying evidence about a release: a bundle in hand, against those whom the reader trusts.

 1. The bundle is by a trusted signer whose signature counts (`ledger.endorse`).
 2. It is evidence, or a receipt; and of one of the wanted predicate types, when some are.
 3. A trusted log holds it (unless logs are left out), at an entry that says the same.
 4. It is about the expected release: the same name, shard table and root; or the name, when only that is known.
 5. An attached predicate is there, and is the one that was signed.
 6. A predicate whose published shape is known (`ledger.slsa`) has that shape.

Each step raises. What a predicate claims is not judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dataseal.ledger import evidence, seal, slsa
from dataseal.ledger.endorse import Endorsement, endorse
from dataseal.ledger.errors import FormatError, IntegrityError, ProofInvalid, Unavailable, UsageError, VerificationError
from dataseal.ledger.statement import ATTACHED, Statement
from dataseal.ledger.trust import Trust
from dataseal.ledger.verify import LoggedStatement, verify_logged
from dataseal.verifiers.sources.local import LocalFolder


@dataclass(frozen=True, slots=True)
class VerifiedEvidence:
    """Evidence that passed. Built by `check` only.

    Attributes:
        predicate_type: of an attached predicate, the type of what is attached.
        shaped: whether the predicate was held against a published shape. logged: None when logs were left out.
    """

    endorsed: Endorsement
    predicate_type: str
    shaped: bool
    logged: LoggedStatement | None

    @property
    def statement(self) -> Statement:
        """The statement."""
        return self.endorsed.verified.statement


def check(
    raw: bytes,
    proof: bytes | None,
    attached: bytes | None,
    trust: Trust,
    *,
    now: datetime,
    release: Statement | None = None,
    expected: Sequence[str] = (),
    types: Sequence[str] = (),
    use_log: bool = True,
) -> VerifiedEvidence:
    """Verifies one bundle, in the steps above.

    Args:
        proof, attached: what travels beside it, if it is there. release: the verified release that it has to be about.
        expected: ``NAME`` or ``NAME@VERSION``, any of them. types: predicate types, any of them.

    Raises:
        FormatError, SignatureInvalid, IntegrityError, ProofInvalid: a step failed.
        Unavailable: the attached predicate is not at hand.
    """
    endorsed = endorse(raw, trust, proof=proof, now=now)  # 1
    statement = endorsed.verified.statement
    if statement.kind not in evidence.KINDS:  # 2
        raise FormatError(f"it is a {statement.kind}, and no evidence", hint="`dataseal verify` checks releases")
    binding = statement.attached() if statement.predicate_type == ATTACHED else None
    kind = binding.type if binding else statement.predicate_type
    if types and kind not in types:
        raise IntegrityError(f"its predicate type is {kind[:200]}; expected {' or '.join(types)}")
    logged = None
    if use_log:  # 3
        if proof is None:
            raise ProofInvalid(
                "no proof that a log holds it",
                hint="lay NAME.tlog-proof beside NAME.sigstore.json (`dataseal evidence list --to`), or say --no-log",
            )
        logged = verify_logged(endorsed.verified, proof, tuple(trust.logs.values()))
    _about(statement, release, expected)  # 4
    if binding is not None:  # 5, 6
        if attached is None:
            raise Unavailable(
                f"the predicate is attached, and its file is not here ({binding.sha256})",
                hint="lay NAME.predicate beside NAME.sigstore.json",
            )
        evidence.check_attached(binding, attached)
        return VerifiedEvidence(endorsed, kind, kind in slsa.SHAPES, logged)
    return VerifiedEvidence(endorsed, kind, slsa.check_shape(kind, statement.predicate), logged)


def _about(statement: Statement, release: Statement | None, expected: Sequence[str]) -> None:
    if release is not None:
        evidence.check_subject(statement, release)
    names = (statement.dataset, f"{statement.dataset}@{statement.version}")
    if expected and not set(names) & set(expected):
        raise IntegrityError(f"it is about {names[1]}; expected {' or '.join(expected)}")


def release_of(folder: LocalFolder, trust: Trust, *, now: datetime) -> Statement:
    """The release that a trusted signer signed in a folder. Its files are not hashed: that is ``dataseal verify``.

    Raises:
        UsageError: there is no release. SignatureInvalid, FormatError: no bundle of it is by a trusted signer.
    """
    failed: VerificationError | None = None
    for number in seal.releases(dict.fromkeys(folder.seal() or [])):
        raw = folder.read_seal(seal.release_name(number, "sigstore.json"), seal.MAX_SMALL)
        proof = folder.read_seal(seal.release_name(number, "tlog-proof"), seal.MAX_SMALL)
        try:
            statement = endorse(raw or b"", trust, proof=proof, now=now).verified.statement
            statement.release()
        except VerificationError as error:
            failed = error
        else:
            return statement
    if failed is not None:
        raise failed
    raise UsageError("no signed release in the target folder", hint="give the folder with its .dataseal/")

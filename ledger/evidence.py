"""Evidence: whatever in-toto predicate somebody signs about a release, logged beside it.

A statement of evidence has the release's own subject and a predicate type of its maker's. `attest` signs one;
`attest_bundle` logs one that another tool has signed, as it is. Both are admitted like any entry: the log lists the
signer for ``evidence`` of the dataset (a VSA is a ``receipt``), and the subject's root is a recorded state of it.

A predicate that does not fit into a statement is an object: the statement's predicate is then `statement.Attached`,
which binds type, size and SHA-256 of the file as it was given.

What travels is two files, three for an object, named by the entry's index::

    00000007.sigstore.json    the bundle          00000007.tlog-proof    its proof in the log
    00000007.predicate        the object
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from dataseal.ledger import bundle as bundles
from dataseal.ledger import canonical, seal, slsa, states
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import Admission
from dataseal.ledger.anylog import AnyLog, Queries
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, IntegrityError, UsageError
from dataseal.ledger.objects import Objects
from dataseal.ledger.paths import SEAL
from dataseal.ledger.predicates import Attached
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.sign import as_usage
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.statement import ATTACHED, MAX_STATEMENT, Statement
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.verify import verify_logged

KINDS: Final = ("evidence", "receipt")
"""Entries that are evidence about a release: a VSA is a receipt."""

MAX_PREDICATE: Final = 16 * 1024 * 1024
"""Bytes of a predicate's file: an SBOM of some ten thousand parts."""

MAX_INLINE: Final = MAX_STATEMENT - 2560
"""Bytes of a predicate in a statement, beside the longest subject and type."""


class Log(AnyLog, Protocol):
    """A log whose list of signers is known here."""

    @property
    def admission(self) -> Admission:
        """Who may log what."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An entry that is about a release. Whom its signer is to the reader, is the reader's to judge.

    Attributes:
        predicate_type: of an attached predicate, the type of what is attached. attached: its object, or None.
    """

    index: int
    kind: str
    predicate_type: str
    signer: str
    logged_at: str
    statement: Statement
    attached: Attached | None


def release_of(target: str, log: AnyLog) -> Statement:
    """The logged release that evidence is to be about.

    Args:
        target: a folder with its ``.dataseal/``, or ``NAME@VERSION``. A folder's files are not hashed.

    Raises:
        UsageError: no release, or one that the ledger does not hold.
        FormatError: the folder's bundle is malformed.
    """
    held = None
    if Path(target).is_dir():
        held = sealed(Path(target))
        name, version = held.dataset, held.version
    else:
        name, _, version = target.rpartition("@")
    with log.store.view() as view:
        row = view.release(name, version) if name else None
    if row is None:
        raise UsageError(
            f"the ledger holds no release {f'{name}@{version}' if name else target!r}",
            hint="give NAME@VERSION of a release, or the folder of one; `dataseal log` shows what is recorded",
        )
    statement = states.statement_of(row)
    if held is not None and held.payload != statement.payload:
        raise UsageError(
            f"the folder's release of {name}@{version} is not the one in the ledger (entry {row.index})",
            where=target,
            hint="run `dataseal verify` on it",
        )
    return statement


def sealed(folder: Path) -> Statement:
    """What the release bundle in a folder says; nothing of it is verified.

    Raises:
        UsageError: there is none. FormatError: it is malformed, or no release.
    """
    raw = seal.read(folder, seal.release_name(1, "sigstore.json"), seal.MAX_SMALL)
    if raw is None:
        raise UsageError(
            f"no signed release in {folder}", where=str(folder / SEAL), hint="sign it first (`dataseal sign`)"
        )
    statement = statements.parse(bundles.parse(raw).payload)
    statement.release()
    return statement


def attest(
    release: Statement, predicate: bytes, predicate_type: str, *, signer: Signer, log: AnyLog, objects: Objects
) -> Recorded:
    """Signs a predicate about a release, and logs it. The same predicate by the same signer is one entry.

    Args:
        predicate: a JSON object, as read from its file.

    Raises:
        UsageError: a type of dataseal's own or no type at all, no JSON object, or not of its type's published shape.
        Refused: the log does not list the signer for it.
    """
    with as_usage():
        value = parse_predicate(predicate)
        check_type(predicate_type)
        slsa.check_shape(predicate_type, value)
        kept = predicate_type
        if len(canonical.encode(value)) > MAX_INLINE:
            if predicate_type == statements.VSA:
                raise UsageError("a verification summary of this size", hint="shorten its list of attestations")
            attached = Attached.make(type=predicate_type, sha256=objects.put(predicate), bytes=len(predicate))
            value, kept = attached.model_dump(mode="json"), ATTACHED
        payload = statements.encode(
            kept, value, dataset=release.dataset, version=release.version, table=release.table, root=release.root
        )
    return record(payload, signer=signer, log=log)


def attest_bundle(raw: bytes, release: Statement, *, log: Log) -> Recorded:
    """Logs a bundle about a release that somebody else has signed, byte for byte.

    Raises:
        FormatError: not a bundle, no evidence, or not of its type's published shape.
        IntegrityError: it is about something else.
        SignatureInvalid: nobody whom the log lists signed it. Refused: not for this.
    """
    statement = statements.parse(bundles.parse(raw).payload)
    check_subject(statement, release)
    if statement.kind not in KINDS or statement.predicate_type == ATTACHED:
        raise FormatError(f"the bundle holds a {statement.predicate_type}, which is no foreign evidence")
    slsa.check_shape(statement.predicate_type, statement.predicate)
    log.admission.verify(raw, now=datetime.now(UTC))
    appended = log.append([raw])[0]
    proof = log.prove([appended.index])[0]
    at = appended.header.at if appended.existed else datetime.now(UTC)
    verified = log.admission.verify(appended.bundle, now=at)
    if verified.statement.payload != statement.payload:
        raise IntegrityError(f"the ledger gives another statement for this one (entry {appended.index})")
    return Recorded(verify_logged(verified, proof, [log.trusted()]), appended.bundle, proof, appended.existed)


def evidence_about(view: Queries, release: Statement) -> Iterator[Evidence]:
    """Every entry of evidence about a release, in the log's order; the same subject, digest for digest."""
    for row in view.of_dataset(release.dataset, *KINDS):
        statement = states.statement_of(row)
        if is_about(statement, release):
            yield _evidence(row, statement)


def is_about(statement: Statement, release: Statement) -> bool:
    """Whether two statements have one subject: name, shard table and root."""
    return _subject(statement) == _subject(release)


def check_subject(statement: Statement, release: Statement) -> None:
    """Raises `IntegrityError` unless ``statement`` is about ``release``."""
    if not is_about(statement, release):
        theirs, ours = (f"{s.dataset}@{s.version}, root {s.root[:16]}" for s in (statement, release))
        raise IntegrityError(f"it is about another subject: {theirs}; expected {ours}")


def check_type(predicate_type: str) -> None:
    """Raises `FormatError` unless ``predicate_type`` can be a type of foreign evidence."""
    if predicate_type != statements.VSA and not statements.is_foreign(predicate_type):
        raise FormatError(
            f"{predicate_type[:200]!r} is no predicate type that can be attested",
            hint="give the URI of a foreign one, such as https://slsa.dev/provenance/v1; dataseal's own statements "
            "are made by sign, record, gate and key announce",
        )


def parse_predicate(data: bytes) -> dict[str, Any]:
    """A predicate's file as a JSON object, read strictly. Raises `FormatError`."""
    value = canonical.decode(data, what="predicate", max_bytes=MAX_PREDICATE)
    if not isinstance(value, dict):
        raise FormatError("the predicate is not a JSON object", hint="give the predicate alone, without its statement")
    if "predicateType" in value and "_type" in value:
        raise FormatError(
            "this is a whole in-toto statement", hint="give its predicate alone; a signed one goes in with --bundle"
        )
    return value


def check_attached(attached: Attached, data: bytes) -> None:
    """Holds an object against the statement that binds it, and against the shape of its type.

    Raises:
        IntegrityError: it is another file. FormatError: no JSON object, or not of its type's shape.
    """
    if len(data) != attached.bytes or sha256(data).hex() != attached.sha256:
        raise IntegrityError(f"the attached predicate is not the one that was signed ({attached.sha256[:16]}…)")
    slsa.check_shape(attached.type, parse_predicate(data))


def files_of(index: int, bundle: bytes, proof: bytes, attached: bytes | None) -> dict[str, bytes]:
    """What travels of an entry, by file name."""
    found = {f"{index:08d}.sigstore.json": bundle, f"{index:08d}.tlog-proof": proof}
    return found | ({f"{index:08d}.predicate": attached} if attached is not None else {})


def exported(items: list[Evidence], log: AnyLog, view: Queries, objects: Objects) -> dict[str, bytes]:
    """The files of several entries, all proven under one checkpoint.

    Raises:
        UsageError: an object is not at hand.
    """
    files: dict[str, bytes] = {}
    rows = {row.index: row for item in items for row in view.of_dataset(item.statement.dataset, item.kind)}
    for item, proof in zip(items, log.prove([item.index for item in items]) if items else [], strict=True):
        attached = objects.get(item.attached.sha256, what="attached predicate") if item.attached else None
        files |= files_of(item.index, entries.parse(rows[item.index].body).bundle, proof, attached)
    return files


def _evidence(row: StoredEntry, statement: Statement) -> Evidence:
    attached = statement.attached() if statement.predicate_type == ATTACHED else None
    kind = attached.type if attached else statement.predicate_type
    return Evidence(row.index, row.kind, kind, row.signer, row.logged_at, statement, attached)


def _subject(statement: Statement) -> tuple[str, str, str, str]:
    return statement.dataset, statement.version, statement.table, statement.root

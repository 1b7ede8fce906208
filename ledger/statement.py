"""Statements: in-toto v1, canonical JSON, at most 32 KiB, with counts and digests only.

Every statement about a version has one subject, so that a release, a modification and a receipt of one version
share it, and stock tools can check a real file against it::

    {"_type":"https://in-toto.io/Statement/v1",
     "predicate":{…},
     "predicateType":"https://dataseal.invalid/release/v1",
     "subject":[{"digest":{"datasealRoot":"<hex>","sha256":"<hex of shards.parquet>"},
                 "name":"acme/reviews@1.0.0"}]}

The version of a state that was never released is ``root-`` and the first 12 digits of its root. Nothing in a
statement is a clock reading: the same release gives the same bytes, and so the same log entry (DESIGN section 3).

A *closed* statement is about a log and not about a dataset. Its subject is the log's last tree: ``<origin>@<size>``,
the root hash as ``datasealRoot``, and the SHA-256 of the checkpoint's text (origin, size and root, each with a newline;
C2SP tlog-checkpoint) as ``sha256``. See `dataseal.ledger.closing`.

*Evidence* is whatever in-toto statement somebody makes about a version, of a predicate type that is not ours. Of such a
statement the bytes stay as they are, canonical or not; one of its subjects, and only one, is ours: the name and both
digests above, perhaps beside others. See `dataseal.ledger.evidence`.

Our predicates are closed models (`dataseal.ledger.predicates`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex, sha256
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.predicates import Attached, Closed, KeyAnnouncement, Model, Modification, Release
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Verifier, is_key_name

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_STATEMENT: Final = 32 * 1024
"""Bytes. What is longer belongs into an object that the statement binds by digest."""

MAX_DATASET: Final = 200
"""Characters of a dataset's name: room for three slashes and every hub's longest names. Of a log's origin, too."""

RELEASE: Final = "https://dataseal.invalid/release/v1"
MODIFICATION: Final = "https://dataseal.invalid/modification/v1"
KEY: Final = "https://dataseal.invalid/key/v1"
VSA: Final = "https://slsa.dev/verification_summary/v1"
CLOSED: Final = "https://dataseal.invalid/closed/v1"
ATTACHED: Final = "https://dataseal.invalid/evidence/v1"
EVIDENCE: Final = "evidence"
KINDS: Final = {
    RELEASE: "release", MODIFICATION: "modification", VSA: "receipt", KEY: "key", CLOSED: "closed", ATTACHED: EVIDENCE,
}  # fmt: skip
"""Predicate type to the kind of ledger entry that holds it; a foreign type's is `EVIDENCE`."""

OURS: Final = "https://dataseal.invalid/"
"""Where our predicate types begin: one that is not known here is of a newer dataseal, and no evidence."""

OPERATIONS: Final = (
    "collect", "append", "remove", "dedupe", "filter", "relabel", "edit", "transform",
    "augment", "merge", "split", "redact", "re-encode", "sample", "synthesise",
)  # fmt: skip
"""What a modification may be called; anything else starts with ``x-``."""

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,3}\Z")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}\Z")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[!-~]{1,500}\Z")
_OPERATION = re.compile(r"x-[a-z0-9][a-z0-9-]{0,40}\Z")


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed statement. Holding one says nothing about who signed it.

    Attributes:
        payload: the bytes as read. predicate_type, kind: what it is.
        dataset, version: the subject's name. table, root: the subject's digests, hexadecimal.
        predicate: the JSON object; `release`, `modification` and `closed` give it as a model.
    """

    payload: bytes
    predicate_type: str
    kind: str
    dataset: str
    version: str
    table: str
    root: str
    predicate: dict[str, Any]

    def release(self) -> Release:
        """The release predicate. Raises `FormatError` when it is another kind or does not fit the model."""
        model: Release = self._model(Release, RELEASE)
        check_version(self.version)  # a release named `head` would be taken for the newest state
        if model.tree.root != self.root:
            raise FormatError("the release's tree root is not its subject's")
        _ = model.tree.parameters  # a chunk size that is no power of two fails here
        return model

    def modification(self) -> Modification:
        """The modification predicate. Raises `FormatError` when it is another kind or does not fit the model."""
        model: Modification = self._model(Modification, MODIFICATION)
        if model.to.root != self.root:
            raise FormatError("the modification's target root is not its subject's")
        check_operation(model.operation)
        _ = model.to.parameters
        return model

    def announcement(self) -> KeyAnnouncement:
        """The key predicate. Raises `FormatError` when it is another kind or does not fit the model."""
        model: KeyAnnouncement = self._model(KeyAnnouncement, KEY)
        model.public_key()
        return model

    def closed(self) -> Closed:
        """The closed predicate. Raises `FormatError` when it is another kind, or does not fit model and subject."""
        model: Closed = self._model(Closed, CLOSED)
        log = _log_key(model.log, "log")
        if (log.name, str(model.size)) != (self.dataset, self.version):
            raise FormatError("the closed statement's log and size are not its subject's")
        if model.successor is not None and _log_key(model.successor, "successor").public_key == log.public_key:
            raise FormatError("the closed statement names the log's own key as its successor")
        if checkpoint_digest(log.name, model.size, bytes.fromhex(self.root)) != self.table:
            raise FormatError("the closed statement's sha256 is not that of its tree's checkpoint")
        return model

    def attached(self) -> Attached:
        """The attached predicate. Raises `FormatError` when it is another kind, or of a type that can't be evidence."""
        model: Attached = self._model(Attached, ATTACHED)
        if not is_foreign(model.type):
            raise FormatError(f"the attached predicate's type is {model.type[:120]!r}, which is no foreign one")
        return model

    def check_predicate(self) -> None:
        """Holds the predicate against its model; one of another project is taken as it is. Raises `FormatError`."""
        checks = {
            RELEASE: self.release, MODIFICATION: self.modification, KEY: self.announcement, CLOSED: self.closed,
            ATTACHED: self.attached,
        }  # fmt: skip
        if check := checks.get(self.predicate_type):
            check()

    def _model(self, model: Any, predicate_type: str) -> Any:
        if self.predicate_type != predicate_type:
            raise FormatError(f"predicate type is {self.predicate_type!r}; {predicate_type!r} is wanted")
        try:
            return model.model_validate(self.predicate)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise FormatError(f"{self.kind} predicate: {field}: {first['msg']}") from None


def a(kind: str) -> str:
    """A kind of entry with its article, for messages."""
    return kind if kind == EVIDENCE else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def is_foreign(predicate_type: str) -> bool:
    """Whether a predicate type is a URI of somebody else's: such a statement is evidence."""
    return bool(_TYPE.match(predicate_type)) and predicate_type not in KINDS and not predicate_type.startswith(OURS)


def check_dataset(name: str) -> None:
    """Raises `FormatError` unless ``name`` is a dataset name such as ``acme/reviews``."""
    if len(name) > MAX_DATASET or not _DATASET.match(name):
        raise FormatError(
            f"{name[:200]!r} is not a dataset name",
            hint="use letters, digits, '.', '_' and '-', with up to three '/' between, such as acme/reviews",
        )


def check_subject(kind: str, name: str) -> None:
    """Raises `FormatError` unless an entry of ``kind`` can be about ``name``: a dataset, or the log that is closed."""
    if kind != KINDS[CLOSED]:
        check_dataset(name)
    elif len(name) > MAX_DATASET or not is_key_name(name):
        raise FormatError(f"{name[:200]!r} is not a log's origin")


def checkpoint_digest(origin: str, size: int, root: bytes) -> str:
    """The SHA-256 of a tree head's text, hexadecimal. Raises `FormatError` when there can be no such tree head."""
    return sha256(Checkpoint(origin, size, root).encode()).hex()


def check_version(version: str) -> None:
    """Raises `FormatError` unless ``version`` can name a release, such as ``1.0.0``."""
    if not _VERSION.match(version) or version.startswith("root-") or version in ("head", "latest"):
        raise FormatError(
            f"{version[:200]!r} is not a release version",
            hint="use letters, digits, '.', '+', '_' and '-', such as 1.0.0; root-…, head and latest are reserved",
        )


def check_operation(operation: str) -> None:
    """Raises `FormatError` unless ``operation`` is in the vocabulary or starts with ``x-``."""
    if operation not in OPERATIONS and not _OPERATION.match(operation):
        raise FormatError(f"{operation[:80]!r} is not an operation", hint=f"one of {', '.join(OPERATIONS)}, or x-…")


def state_version(root: str) -> str:
    """The version that names a state by its root: ``root-`` and 12 hexadecimal digits."""
    return f"root-{root[:12]}"


def encode(
    predicate_type: str, predicate: Model | dict[str, Any], *, dataset: str, version: str, table: str, root: str
) -> bytes:
    """A statement's canonical bytes.

    Args:
        predicate_type: one of this module's constants.
        dataset, version: the subject's name. table, root: hexadecimal digests of the subject.

    Raises:
        FormatError: a name that breaks the rules, or more than `MAX_STATEMENT` bytes.
    """
    check_subject(KINDS.get(predicate_type, ""), dataset)
    body = predicate.model_dump(mode="json", by_alias=True) if isinstance(predicate, Model) else predicate
    payload = canonical.encode(
        {
            "_type": STATEMENT,
            "predicateType": predicate_type,
            "predicate": body,
            "subject": [{"name": f"{dataset}@{version}", "digest": {"sha256": table, "datasealRoot": root}}],
        }
    )
    if len(payload) > MAX_STATEMENT:
        raise FormatError(
            f"the statement has {len(payload):,} bytes; at most {MAX_STATEMENT:,} fit",
            hint="shorten the reason, parameters or metadata, or put them into a file and name its digest",
        )
    return payload


def _log_key(vkey: str, field: str) -> Ed25519Verifier:
    try:
        key = parse_vkey(vkey)
    except UsageError as error:
        raise FormatError(f"closed predicate: {field}: {error.what}") from None
    if not isinstance(key, Ed25519Verifier):
        raise FormatError(f"closed predicate: {field}: not the Ed25519 key of a log")
    return key


def parse(payload: bytes) -> Statement:
    """Reads a statement about a dataset or log of ours, strictly.

    Raises:
        FormatError: not an in-toto v1 statement with the subject described above; or not canonical JSON with exactly
            that one subject, unless it is evidence.
    """
    value = canonical.decode(payload, what="statement", max_bytes=MAX_STATEMENT)
    if not isinstance(value, dict) or set(value) != {"_type", "predicate", "predicateType", "subject"}:
        raise FormatError("statement: fields other than _type, predicate, predicateType, subject")
    if value["_type"] != STATEMENT:
        raise FormatError(f"statement: _type is {str(value['_type'])[:80]!r}")
    predicate_type, subject = value["predicateType"], value["subject"]
    if not isinstance(predicate_type, str):
        raise FormatError("statement: predicateType is not a string")
    kind = KINDS.get(predicate_type)
    if kind is not None:
        if canonical.encode(value) != payload:
            raise FormatError("statement is not in RFC 8785 canonical form")
    elif is_foreign(predicate_type):
        kind, subject = EVIDENCE, _our_subject(subject)
    else:
        raise FormatError(f"statement: unknown predicate type {predicate_type[:120]!r}")
    match subject:
        case [{"name": str(name), "digest": {"sha256": table, "datasealRoot": root, **rest}, **more}] if not (
            rest or more
        ):
            pass
        case _:
            raise FormatError("statement: the subject is not one name with sha256 and datasealRoot")
    dataset, _, version = name.rpartition("@")
    check_subject(kind, dataset)
    if not _VERSION.match(version):
        raise FormatError(f"statement: {version[:80]!r} is not a version")
    if not isinstance(value["predicate"], dict):
        raise FormatError("statement: the predicate is not an object")
    parse_hex(table, field="statement subject sha256")
    parse_hex(root, field="statement subject datasealRoot")
    return Statement(payload, predicate_type, kind, dataset, version, table, root, value["predicate"])


def _our_subject(subjects: Any) -> list[dict[str, Any]]:
    """Of a foreign statement's subjects the one that is ours, without what else is said of it."""
    if not isinstance(subjects, list) or not all(isinstance(item, dict) for item in subjects):
        raise FormatError("statement: subject is not a list of resources")
    ours = {"sha256", "datasealRoot"}
    found = [item for item in subjects if isinstance(item.get("digest"), dict) and ours <= set(item["digest"])]
    if len(found) != 1:
        raise FormatError(
            f"statement: {len(found)} subjects have the digests sha256 and datasealRoot; one is wanted",
            hint="`dataseal evidence subject TARGET` prints the subject that evidence about a release has",
        )
    digest = {name: found[0]["digest"][name] for name in ("sha256", "datasealRoot")}
    return [{"name": found[0].get("name"), "digest": digest}]

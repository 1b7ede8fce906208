"""What the statements of this project say: closed, strict, frozen models of their predicates.

An unknown field is refused, and a new field is a new predicate type. `dataseal.ledger.statement` says which model a
type has, and what a predicate must share with its statement's subject.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
)

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import MAX_CHUNK, MIN_CHUNK, Manifest, Parameters
from dataseal.ledger.publickey import PublicKey

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Model(BaseModel):
    """A closed, strict, frozen JSON object."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def make(cls, **fields: Any) -> Self:
        """Builds the object from what a user gave.

        Raises:
            UsageError: naming the field that does not fit.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"{cls.__name__.lower()}: {field}: {first['msg']}") from None


class Tree(Model):
    """The tree that a statement is about."""

    root: Hex
    shards: Count
    bytes: Count
    chunk_size: Annotated[int, Field(ge=MIN_CHUNK, le=MAX_CHUNK)]
    chunk_hash: Literal["sha256", "blake3"]

    @classmethod
    def of(cls, manifest: Manifest) -> Tree:
        """The tree of ``manifest``."""
        return cls.make(
            root=manifest.root.hex(),
            shards=len(manifest.shards),
            bytes=manifest.bytes,
            chunk_size=manifest.parameters.chunk_size,
            chunk_hash=manifest.parameters.chunk_hash,
        )

    @property
    def parameters(self) -> Parameters:
        """The tree's parameters."""
        return Parameters(self.chunk_size, self.chunk_hash)


class Version(Model):
    """Another version, by name and root."""

    version: Line
    root: Hex


class Source(Model):
    """A version of any dataset that this one derives from."""

    dataset: Line
    version: Line
    root: Hex


class Release(Model):
    """The predicate of a release: version ``sequence`` of a dataset has this tree.

    ``previous`` is the release before it (null for the first); ``exclusions`` are the globs that the tree walk
    left out and that every verification shows. ``digests`` stands there only as ``supplied``: then the publisher's tool
    read no data, and signed digests that were computed elsewhere. A release that was hashed has no such field.
    """

    sequence: Annotated[int, Field(ge=1, le=2**53 - 1)]
    previous: Version | None
    tree: Tree
    derived_from: list[Source]
    exclusions: list[Line]
    metadata: dict[Line, Line]
    digests: Literal["supplied"] | None = None

    @field_validator("digests", mode="before")
    @classmethod
    def _said(cls, value: object) -> object:
        """Absent has one form: a null would be a second statement with the same meaning."""
        if value is None:
            raise ValueError("it is 'supplied', or not there")
        return value

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if self.digests is None:
            del fields["digests"]
        return fields


class State(Model):
    """A recorded state: its root and the SHA-256 of its shard table."""

    root: Hex
    table: Hex


class Changes(Model):
    """How many were added, removed and changed; null where the old content was not at hand to count."""

    added: Count | None
    removed: Count | None
    changed: Count | None


class Counts(Model):
    """Shards and rows that a modification touched."""

    shards: Changes
    rows: Changes


class Tool(Model):
    """What made the change."""

    uri: Line


class Modification(Model):
    """The predicate of a modification: from one root to the next, by whom it is signed, and why.

    ``from`` is null only for a dataset's first state; ``delta`` is the SHA-256 of the object that lists the shards.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    operation: Line
    from_: State | None = Field(alias="from")
    to: Tree
    reason: Line
    tool: Tool | None
    parameters: dict[Line, Line]
    exclusions: list[Line]
    counts: Counts
    delta: Hex


class KeyAnnouncement(Model):
    """The predicate of a key announcement: whoever signs it says that ``key`` will sign for the dataset too.

    It is shown and never followed: a thief of the old key can write one. ``key`` is the SubjectPublicKeyInfo in base64,
    ``fingerprint`` its SHA-256, ``replaces`` the fingerprint of the key that is given up, if one is.
    """

    key: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    fingerprint: Hex
    replaces: Hex | None
    reason: Line

    def public_key(self) -> PublicKey:
        """The announced key.

        Raises:
            FormatError: not a key that can sign here, or not the one of the fingerprint.
        """
        found = PublicKey.from_spki(self.key)
        if found.fingerprint != self.fingerprint:
            raise FormatError("the announced key has another fingerprint than the announcement says")
        return found


class Closed(Model):
    """The predicate of a log's final entry: this log ends here, for this reason, and perhaps goes on as another one.

    ``log`` is the verifier key of the log that ends, ``size`` its number of entries before this one, ``successor`` the
    verifier key of the log that continues the same tree; null when none does.
    """

    log: Line
    size: Count
    reason: Line
    successor: Line | None


class Attached(Model):
    """The predicate of evidence that is too large for a statement: ``type`` and digest of a predicate's file."""

    type: Line
    sha256: Hex
    bytes: Annotated[int, Field(ge=1, le=2**53 - 1)]

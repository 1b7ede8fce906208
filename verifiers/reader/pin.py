"""A pinned content: what a dataset must be, whoever signed it. Whoever made the pin has verified that.

``root`` binds every path, size and digest and the tree's parameters; ``table`` is the SHA-256 of
``.dataseal/shards.parquet``, which is parsed only when it matches. A pickled dataset and a gate's handle hold pins::

    {"chunk_hash":"sha256","chunk_size":4194304,"dataset":"acme/reviews",
     "root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2",
     "table":"0d4fc4a78d3706edccafb665a8b2fdd9309e82c78625bb0f2b8e7bb9e1c4d21c","version":"1.1.0"}
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.manifest import DEFAULT_CHUNK, Manifest, Parameters, parse_table
from dataseal.ledger.seal import MAX_TABLE, TABLE
from dataseal.verifiers.reader.targets import Target


@dataclass(frozen=True, slots=True)
class Pin:
    """One content.

    Attributes:
        root: the dataset root. table: the shard table's SHA-256; both hexadecimal.
        chunk_size: bytes. dataset, version: its name, for messages; nothing rests on it.

    Raises:
        FormatError: a digest that is none, or parameters that no release has.
    """

    root: str
    table: str
    chunk_size: int = DEFAULT_CHUNK
    chunk_hash: str = "sha256"
    dataset: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        parse_hex(self.root, field="root")
        parse_hex(self.table, field="table")
        Parameters(self.chunk_size, self.chunk_hash)

    @property
    def name(self) -> str:
        """``NAME@VERSION``, or the root when the name is not known."""
        return f"{self.dataset}@{self.version}" if self.dataset and self.version else f"root {self.root[:16]}"

    def json(self) -> dict[str, Any]:
        """The pin as JSON values."""
        return asdict(self)


def parse_pin(value: object, *, what: str) -> Pin:
    """Reads what `Pin.json` wrote, strictly.

    Raises:
        FormatError: another shape.
    """
    kinds = {"root": str, "table": str, "chunk_size": int, "chunk_hash": str, "dataset": str, "version": str}
    if not isinstance(value, dict) or set(value) != set(kinds):
        raise FormatError(f"{what} has other fields than a pin")
    for field, kind in kinds.items():
        if type(value[field]) is not kind and not (field in ("dataset", "version") and value[field] is None):
            raise FormatError(f"{what}: {field} is no {kind.__name__}")
    return Pin(**value)


def pinned(target: Target, pin: Pin) -> Manifest:
    """The manifest that ``pin`` names, from the target's shard table.

    Raises:
        IntegrityError: the table is missing or another one. Unavailable: it can't be read.
    """
    data = target.read_seal(TABLE, MAX_TABLE)
    if data is None:
        raise IntegrityError(
            f"the shard table of {pin.name} is missing",
            where=f"{target.name}/.dataseal/{TABLE}",
            hint="fetch the dataset again with its whole .dataseal/ folder",
        )
    parameters = Parameters(pin.chunk_size, pin.chunk_hash)
    return parse_table(data, parameters, digest=bytes.fromhex(pin.table), root=bytes.fromhex(pin.root))

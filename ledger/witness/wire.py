"""C2SP tlog-witness: what goes over the wire for ``POST <submission prefix>/add-checkpoint``.

The request body is an old size line, up to 63 consistency proof lines, an empty line and the checkpoint; every line
ends in a newline. The answer with status 200 is one or more note signature lines; with 409 (and from some witnesses
422) and the type ``text/x.tlog.size`` it is the size of the latest cosigned checkpoint and a newline. The witness's
latest checkpoint of a log is at ``GET <monitoring prefix>/<origin hash>/checkpoint``.

Example, a request from size 2 to the checkpoint of ``tlog.checkpoint`` (``tests/ledger/witness/test_wire.py`` parses
it)::

    old 2
    Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=

    dataseal.invalid/0123456789abcdef
    3
    Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=

    — dataseal.invalid/0123456789abcdef 1Vf7S8ye2XYRHexiami32IIl6AN/OBTzjnclxDaB5EepzEhiuZ+dzOsjUCIIOXOfR4kJE1VL1MDuoubVTvhhQxVVKgk=
"""  # noqa: E501 - whole documents

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE
from dataseal.ledger.tlog.text import decode_hash, encode_base64, parse_decimal
from dataseal.ledger.witness.limits import MAX_PROOF_LINES, MAX_REQUEST_BYTES

ADD_CHECKPOINT: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: ``checkpoint`` is a signed note, not yet looked at; ``proof`` leads to it from size ``old``."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The request's body."""
        proof = "".join(f"{encode_base64(value)}\n" for value in self.proof)
        return f"{_OLD}{self.old}\n{proof}\n".encode() + self.checkpoint


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Reads a request's body, strictly.

    Raises:
        FormatError: too large, or not of the form.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise FormatError(f"request has {len(body):,} bytes; at most {MAX_REQUEST_BYTES:,} are accepted")
    head, empty_line, checkpoint = body.partition(b"\n\n")
    if not empty_line:
        raise FormatError("request has no empty line before its checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise FormatError("the lines before the checkpoint are not ASCII") from None
    if not first.startswith(_OLD):
        raise FormatError("request does not begin with an old size line: `old <size>`")
    if len(lines) > MAX_PROOF_LINES:
        raise FormatError(f"request has {len(lines)} consistency proof lines; at most {MAX_PROOF_LINES} are allowed")
    old = parse_decimal(first.removeprefix(_OLD), what="old size", maximum=MAX_TREE_SIZE)
    proof = tuple(decode_hash(line, what=f"consistency proof line {i}") for i, line in enumerate(lines, 1))
    return AddCheckpoint(old, proof, checkpoint)


def encode_size(size: int) -> bytes:
    """The body of a ``text/x.tlog.size`` answer."""
    return f"{size}\n".encode()


def parse_size(body: bytes) -> int:
    """Reads the body of a ``text/x.tlog.size`` answer.

    Raises:
        FormatError: not one decimal and one newline.
    """
    text = body[:40].decode("ascii", "replace")
    if not text.endswith("\n") or len(body) > len(text):
        raise FormatError("size answer is not one line")
    return parse_decimal(text[:-1], what="size answer", maximum=MAX_TREE_SIZE)


def is_size_type(content_type: str) -> bool:
    """Whether a Content-Type is ``text/x.tlog.size``, whatever its parameters."""
    return content_type.partition(";")[0].strip().lower() == SIZE_TYPE


def monitor_path(origin: str) -> str:
    """Where a witness serves its latest checkpoint of a log: ``/<hex SHA-256 of the origin>/checkpoint``."""
    return f"/{origin_hash(origin)}/checkpoint"


def origin_hash(origin: str) -> str:
    """SHA-256 of the origin in lower-case hexadecimal (tlog-witness, "Monitor Retrieval Mechanism")."""
    return sha256(origin.encode()).hex()

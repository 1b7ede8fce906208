"""The request and the size answer: parsed strictly, or not at all."""

from __future__ import annotations

import textwrap

import pytest

from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.witness import wire
from dataseal.ledger.witness.limits import MAX_REQUEST_BYTES
from dataseal.ledger.witness.wire import AddCheckpoint, parse_add_checkpoint, parse_size

HASH = "Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q="
NOTE = "a\n1\nb\n\n— c d\n"


def test_docstring_example():
    text = wire.__doc__
    body = textwrap.dedent(text[text.index("\nExample") :].partition("::\n\n")[2]).rstrip("\n").encode() + b"\n"
    request = parse_add_checkpoint(body)
    assert request.encode() == body
    tree = parse_body(notes.parse(request.checkpoint).text)
    leaves = [merkle.leaf_hash(entry) for entry in (b"one", b"two", b"three")]
    assert (request.old, tree.size) == (2, 3)
    merkle.verify_consistency(
        old=2, new=3, old_root=merkle.root_from_leaves(leaves[:2]), new_root=tree.root, proof=request.proof
    )


def test_without_proof_lines():
    request = parse_add_checkpoint(f"old 0\n\n{NOTE}".encode())
    assert request == AddCheckpoint(0, (), NOTE.encode())


def test_the_first_empty_line_ends_the_proof():
    request = parse_add_checkpoint(f"old 0\n\n\n{NOTE}".encode())
    assert request.checkpoint == b"\n" + NOTE.encode()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        f"\n\n{NOTE}",
        "old 1\n",
        f"old 1\n{HASH}\n",
        f"old\n\n{NOTE}",
        f"old \n\n{NOTE}",
        f"old  1\n\n{NOTE}",
        f"Old 1\n\n{NOTE}",
        f"old 01\n\n{NOTE}",
        f"old +1\n\n{NOTE}",
        f"old -1\n\n{NOTE}",
        f"old 1 \n\n{NOTE}",
        f"old 1\r\n\n{NOTE}",
        f"old ١\n\n{NOTE}",
        f"old 18446744073709551616\n\n{NOTE}",
        f" old 1\n\n{NOTE}",
        f"old 1\n{HASH[:-1]}\n\n{NOTE}",
        f"old 1\n{HASH} \n\n{NOTE}",
        f"old 1\nAAAA\n\n{NOTE}",
        f"old 1\n{HASH[:-2]}J=\n\n{NOTE}",  # stray pad bits
        "old 1\n" + f"{HASH}\n" * 64 + f"\n{NOTE}",
        f"old 1\n\n{NOTE}" + "x" * MAX_REQUEST_BYTES,
    ],
)
def test_malformed_requests_are_refused(body):
    with pytest.raises(FormatError):
        parse_add_checkpoint(body.encode())


def test_sixty_three_proof_lines_pass():
    assert len(parse_add_checkpoint(("old 1\n" + f"{HASH}\n" * 63 + f"\n{NOTE}").encode()).proof) == 63


@pytest.mark.parametrize("size", [0, 1, 2**64 - 1])
def test_size_answers(size):
    assert parse_size(wire.encode_size(size)) == size


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"1", b"01\n", b" 1\n", b"1\n\n", b"1\r\n", b"-1\n", b"1\n2\n", b"%d\n" % 2**64, b"1" * 999 + b"\n"],
)
def test_malformed_size_answers_are_refused(body):
    with pytest.raises(FormatError):
        parse_size(body)


def test_the_monitor_path_is_the_hash_of_the_origin():
    import hashlib

    assert wire.monitor_path("example.com/log") == f"/{hashlib.sha256(b'example.com/log').hexdigest()}/checkpoint"


@pytest.mark.parametrize(
    ("kind", "same"),
    [("text/x.tlog.size", True), ("Text/X.Tlog.Size; charset=utf-8", True), ("text/plain", False), ("", False)],
)
def test_the_size_type(kind, same):
    assert wire.is_size_type(kind) is same

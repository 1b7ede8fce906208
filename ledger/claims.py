"""Who goes on with a published log: one claim for each head, which is made once and stays.

Publishers who share a place have no common database. Before one of them signs, it *claims* what comes after the head
that it found. Beside the log's own resources a place that is written to holds ::

    claims/3                    what follows the tree of 3 entries: one that is made stays for ever
    claims/3-<root>.entries     the entries, until they are published: each after its length as big-endian uint16

A claim is a signed note (`dataseal.ledger.tlog.note`) by the log's key, its only signature. The text is one line of
canonical JSON, and a checkpoint has three: the key signs both, and neither passes for the other. A verifier key, and a
claim by it (a test opens it)::

    dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+

    {"from":3,"log":"dataseal.invalid/0123456789abcdef","root":"832e609776a4b05ca208ef796bfd6f2d7cfcf00ddd46afb497d4b1b5ef19a994","size":5,"type":"https://dataseal.invalid/claim/v1"}

    — dataseal.invalid/0123456789abcdef 1Vf7S0Kbr4msWLy5aZQUNmcANp5eRU/JO3CKB6iM7qsMinyRjzT0id7rU8bb8rUv568hb5Omo5mNTy00iZUnB3oWpww=

What is read counts only if the log's key signed it: whoever may write to the place, and has not that key, claims
nothing.

 1. The entries are put, under the root of the tree that they lead to: two publishers never meet there.
 2. The claim is *created*: the place makes it if there is none, and refuses if there is one. This is the decision. Who
    is refused has signed no head, drops its entries and begins anew behind the other's.
 3. Only then the head is signed, witnesses are asked, and the log is published: bundles and tiles, the checkpoint last.
 4. The entries are removed; the claim stays.

Whoever finds a claim behind the head finishes it first, with the very same entries and root: a crash after 2 loses
nothing, and a publisher that was only slow does no harm. Since a claim is never taken back, each tree has one
continuation, whatever a late checkpoint says; so no two roots are signed for one size.

The entries are not signed: the root in the claim binds them. Each is admitted anew, and a claimed entry that is dated
more than `AHEAD` ahead of the finisher's clock is refused: later ones could not be dated before it.

All this holds among those who keep to it. Whoever may write to the place can remove claims and checkpoints; a publisher
that keeps its views (`dataseal.ledger.view`) notices, and so do witnesses.
"""  # noqa: E501 - whole documents

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.places import MAX_CLAIM_BYTES, MAX_CLAIMED_BYTES, Destination
from dataseal.ledger.store import segments
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.note import Signer, Verifier
from dataseal.ledger.tlog.tile import decode_bundle

FOLDER: Final = "claims"
HOME: Final = "claims/home"
"""Says that this place is where the log is written."""

TYPE: Final = "https://dataseal.invalid/claim/v1"
"""Says what is signed: the log's key signs checkpoints too."""

AHEAD: Final = timedelta(minutes=10)
"""How far the clocks of two publishers may be apart."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What follows the tree of ``start`` entries: the tree of ``size`` entries with ``root`` (32 bytes)."""

    start: int
    size: int
    root: bytes

    @property
    def path(self) -> str:
        """Where the claim is."""
        return claim_path(self.start)

    @property
    def entries_path(self) -> str:
        """Where its entries are until they are published."""
        return f"{self.path}-{self.root.hex()}.entries"

    def sign(self, signer: Signer) -> bytes:
        """The claim's bytes, signed by the log's key; the same ones each time for an Ed25519 key."""
        text = {"type": TYPE, "log": signer.name, "from": self.start, "size": self.size, "root": self.root.hex()}
        return notes.sign(canonical.encode(text) + b"\n", [signer])

    @classmethod
    def open(cls, data: bytes, start: int, key: Verifier) -> Claim:
        """Reads a claim on what follows ``start`` entries, strictly, and verifies it with the log's key.

        Raises:
            FormatError: it is none. SignatureInvalid: the log's key did not sign it.
        """
        if len(notes.parse(data).signatures) != 1:
            raise FormatError("a claim has one signature, by the log's key")
        text = notes.open_note(data, [key]).text
        match canonical.decode_canonical(text.removesuffix(b"\n"), what="claim", max_bytes=MAX_CLAIM_BYTES):
            case {"type": kind, "log": log, "from": int(first), "size": int(size), "root": root, **rest} if (
                not rest and (kind, log) == (TYPE, key.name) and type(first) is type(size) is int
            ):
                if first == start < size:
                    return cls(start, size, parse_hex(root, field="claim root"))
        raise FormatError(f"not a claim on what follows {start} entries of {key.name}")


def claim_path(start: int) -> str:
    """Where the claim on what follows ``start`` entries is."""
    return f"{FOLDER}/{start}"


def claimed(place: Destination, start: int, key: Verifier) -> Claim | None:
    """The claim on what follows ``start`` entries, if there is one.

    Args:
        key: the log's.

    Raises:
        FormatError: it can't be read. SignatureInvalid: the log's key did not sign it. Unavailable: the place can't.
    """
    data = place.read(claim_path(start))
    if data is None:
        return None
    try:
        return Claim.open(data, start, key)
    except (FormatError, SignatureInvalid) as error:
        raise type(error)(
            error.what,
            where=f"{place.name}/{claim_path(start)}",
            hint="somebody else writes there: keep the file, and find out who",
        ) from None


def demand_exclusive(place: Destination) -> None:
    """Checks that the place can hold claims.

    Raises:
        UsageError: it can't make a file only if there is none.
    """
    if not place.exclusive:
        raise UsageError(
            "the place can't make a file only if there is none: two publishers there could fork the log",
            where=place.name,
            hint="use a folder, or a bucket of S3, Google Cloud or Azure; if never two publishers write at once, say "
            "single_writer = true under [ledger] in dataseal.toml",
        )


def decide(place: Destination, claim: Claim, bodies: list[bytes], signer: Signer) -> bool:
    """Steps 1 and 2: claims what follows a head; False when somebody else did, and nothing of ours is left there.

    Args:
        signer: the log's key.

    Raises:
        UsageError: more than can be read again; nothing is put.
        Unavailable: it can't be told whether the claim was made: whoever comes next finds out.
    """
    data = segments.encode(bodies)
    if len(data) > MAX_CLAIMED_BYTES:
        raise UsageError(
            f"{len(bodies)} entries of {len(data):,} bytes at once; at most {MAX_CLAIMED_BYTES:,} can be claimed",
            where=place.name,
            hint="log them in several requests",
        )
    if place.read(HOME) is None:
        place.put(HOME, b"dataseal publishers write here: see their --ledger\n")
    place.put(claim.entries_path, data)
    place.settle()
    if not place.create(claim.path, claim.sign(signer)):
        place.remove(claim.entries_path)
        return False
    place.settle()
    return True


def entries_of(place: Destination, claim: Claim) -> list[bytes] | None:
    """A claim's entries, None when they are not kept any more.

    Raises:
        FormatError: other bytes. Unavailable: the place can't be read.
    """
    data = place.read(claim.entries_path)
    if data is None:
        return None
    try:
        return decode_bundle(data, claim.size - claim.start)
    except FormatError as error:
        raise FormatError(error.what, where=f"{place.name}/{claim.entries_path}") from None


def demand_unclaimed(place: Destination) -> None:
    """Checks that nobody writes to the log at the place: what is published there from elsewhere would be a second hand.

    Raises:
        UsageError: publishers do.
    """
    if place.read(HOME) is not None:
        raise UsageError(
            "publishers write to the log there (--ledger): this ledger is not its home, and would fork it",
            where=place.name,
            hint=f"log with --ledger {place.name} from here too, or publish this ledger to another place",
        )


def lost() -> Unavailable:
    """The error when others were faster again and again."""
    return Unavailable("other publishers keep logging there", hint="try again; nothing was logged")

"""Who goes on with a published log: one claim for each head, which is made once and stays.

Publishers who share a place have no common database. Before one of them signs, it *claims* what comes after the head
that it found. Beside the log's own resources a place that is written to holds ::

    claims/3                    what follows the tree of 3 entries: one that is made stays for ever
    claims/3-<root>.entries     the entries, until they are published: each after its length as big-endian uint16

A claim is canonical JSON::

    {"from":3,"root":"<hex>","size":5,"v":1}

 1. The entries are put, under the root of the tree that they lead to: two publishers never meet there.
 2. The claim is *created*: the place makes it if there is none, and refuses if there is one. This is the decision. Who
    is refused has signed nothing, drops its entries and begins anew behind the other's.
 3. Only then the head is signed, witnesses are asked, and the log is published: bundles and tiles, the checkpoint last.
 4. The entries are removed; the claim stays.

Whoever finds a claim behind the head finishes it first, with the very same entries and root: a crash after 2 loses
nothing, and a publisher that was only slow does no harm. Since a claim is never taken back, each tree has one
continuation, whatever a late checkpoint says; so no two roots are signed for one size.

All this holds among those who keep to it. Whoever may write to the place can remove claims and checkpoints; a publisher
that keeps its views (`dataseal.ledger.view`) notices, and so do witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.places import Destination
from dataseal.ledger.store import segments
from dataseal.ledger.tlog.tile import decode_bundle

FOLDER: Final = "claims"
HOME: Final = "claims/home"
"""Says that this place is where the log is written."""

MAX_CLAIM: Final = 1024


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

    def encode(self) -> bytes:
        """The claim's bytes."""
        return canonical.encode({"v": 1, "from": self.start, "size": self.size, "root": self.root.hex()})

    @classmethod
    def parse(cls, data: bytes, start: int) -> Claim:
        """Reads the claim on what follows ``start`` entries, strictly.

        Raises:
            FormatError: it is none.
        """
        match canonical.decode_canonical(data, what="claim", max_bytes=MAX_CLAIM):
            case {"v": 1, "from": int(first), "size": int(size), "root": root, **rest} if (
                not rest and first == start < size and type(size) is int
            ):
                return cls(start, size, parse_hex(root, field="claim root"))
        raise FormatError(f"not a claim on what follows {start} entries")


def claim_path(start: int) -> str:
    """Where the claim on what follows ``start`` entries is."""
    return f"{FOLDER}/{start}"


def claimed(place: Destination, start: int) -> Claim | None:
    """The claim on what follows ``start`` entries, if there is one.

    Raises:
        FormatError: it can't be read. Unavailable: the place can't.
    """
    data = place.read(claim_path(start))
    if data is None:
        return None
    try:
        return Claim.parse(data, start)
    except FormatError as error:
        raise FormatError(
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


def decide(place: Destination, claim: Claim, bodies: list[bytes]) -> bool:
    """Steps 1 and 2: claims what follows a head; False when somebody else did, and nothing of ours is left there.

    Raises:
        Unavailable: it can't be told whether the claim was made: whoever comes next finds out.
    """
    if place.read(HOME) is None:
        place.put(HOME, b"dataseal publishers write here: see their --ledger\n")
    place.put(claim.entries_path, segments.encode(bodies))
    place.settle()
    if not place.create(claim.path, claim.encode()):
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

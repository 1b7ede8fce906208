"""C2SP tlog-policy: which logs are trusted, which witnesses are known, and how many must have cosigned.

A line-based file; items are separated by spaces and tabs; empty lines and lines that begin with ``#`` are
ignored::

    log <vkey> [<url>]                          the key name is the log's origin
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>...        witnesses or groups of preceding lines, each used once
    quorum <name>|none                          exactly one

A checkpoint is valid if any one of the logs signed it and the quorum's witnesses cosigned it. Because each
name is a member at most once, a witness counts in one way only; because two vkeys with one public key are
duplicates and refused, each witness is a distinct key.

Example (``tests/ledger/tlog/test_policy.py`` evaluates it)::

    log dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+
    # the witness of another organisation
    witness W1 witness.example/w1+b5e7c468+BL6LWE0RafwTvcKyAMNOIi2BijAQ1i01FLTmCmF7FgTy
    group G any W1
    quorum G
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from dataseal.ledger.errors import ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, parse_body
from dataseal.ledger.tlog.cosignature import Ed25519CosignatureVerifier, MLDSA44Verifier, timestamp_of
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.limits import LAST_DATE, MAX_POLICY_BYTES, MAX_POLICY_ITEMS
from dataseal.ledger.tlog.note import Ed25519Verifier, PublicKey

NONE: Final = "none"
"""The predefined quorum that needs no cosignature."""

_FORBIDDEN = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")  # tlog-policy, "Character set"
_NUMBER = re.compile(r"[1-9][0-9]{0,5}\Z")
_LOG_KEYS = (Ed25519Verifier, MLDSA44Verifier)
_WITNESS_KEYS = (Ed25519CosignatureVerifier, MLDSA44Verifier)


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A trusted log; ``key.name`` is its origin."""

    key: PublicKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A known witness; ``name`` is the policy's own word for it, ``key.name`` the one in its signatures."""

    name: str
    key: PublicKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Witnesses a checkpoint if at least ``threshold`` of its ``members`` do."""

    name: str
    threshold: int
    members: tuple[str, ...]


class WitnessSeen(NamedTuple):
    """A verified cosignature: the policy's name of the witness, and its POSIX timestamp (above 0)."""

    name: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class CheckedCheckpoint:
    """A checkpoint signed by a log of the policy; only `LogPolicy.check` makes one.

    Attributes:
        checkpoint: the tree head.
        log: the log's key name, which is the origin.
        log_vkeys: the policy's keys that signed it, at least one.
        cosignatures: verified cosignatures by known witnesses, at most one each.
        witnesses_known: number of witnesses in the policy.
        quorum_met: whether the quorum's witnesses cosigned.
        signed: the checkpoint with its signatures and bytes.
    """

    checkpoint: Checkpoint
    log: str
    log_vkeys: tuple[str, ...]
    cosignatures: tuple[WitnessSeen, ...]
    witnesses_known: int
    quorum_met: bool
    signed: SignedCheckpoint

    @property
    def witnesses_seen(self) -> int:
        """Number of distinct known witnesses that cosigned."""
        return len(self.cosignatures)


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """A parsed policy: only `parse_policy` and `policy_for_log` make one."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def check(self, data: bytes, *, require_quorum: bool = True) -> CheckedCheckpoint:
        """Verifies a signed checkpoint under this policy.

        Args:
            data: the checkpoint, a signed note.
            require_quorum: False to get the result with ``quorum_met`` False instead of an error, for callers
                that report the witnesses themselves.

        Raises:
            FormatError: not a signed checkpoint.
            SignatureInvalid: not by a listed log whose name is the origin, or a known key's signature fails.
            ProofInvalid: the quorum is not met.
            UsageError: the policy lists no log.
        """
        if not self.logs:
            raise UsageError("the policy lists no log, so that no checkpoint can pass", hint="add a `log <vkey>` line")
        origin = parse_body(notes.parse(data).text).origin
        logs = [log.key for log in self.logs if log.key.name == origin]
        if not logs:
            known = ", ".join(sorted({log.key.name for log in self.logs})[:8])
            raise SignatureInvalid(f"checkpoint is of log {origin[:200]!r}; the policy trusts {known}")
        # Another log's key is no witness, but it is known: its signature here has to hold as well.
        others = [log.key for log in self.logs if log.key.name != origin]
        others += [witness.key for witness in self.witnesses]
        signed = open_checkpoint(data, logs, origin=origin, cosigners=others)
        seen = self._seen(signed)
        met = self.is_quorum(witness.name for witness in seen)
        if require_quorum and not met:
            by_whom = ", ".join(witness.name for witness in seen) or "no known witness"
            raise ProofInvalid(
                f"checkpoint of {origin!r} is cosigned by {by_whom} ({len(seen)} of {len(self.witnesses)}); "
                f"that does not meet quorum {self.quorum!r}",
                hint="ask the log for a checkpoint with more cosignatures",
            )
        vkeys = {(key.name, key.key_id): key.vkey for key in logs}
        by = tuple(vkeys[signature.name, signature.key_id] for signature in signed.log_signatures)
        return CheckedCheckpoint(signed.checkpoint, origin, by, seen, len(self.witnesses), met, signed)

    def is_quorum(self, witnesses: Iterable[str]) -> bool:
        """Whether these witnesses, by policy name, are enough."""
        if self.quorum == NONE:
            return True
        defined = {witness.name for witness in self.witnesses}
        satisfied = defined.intersection(witnesses)
        for group in self.groups:  # in the file's order: members precede their group
            if sum(member in satisfied for member in group.members) >= group.threshold:
                satisfied.add(group.name)
        return self.quorum in satisfied

    def fresh_since(self, seen: Iterable[WitnessSeen]) -> int:
        """The latest time (POSIX seconds) at or after which a whole quorum cosigned: how fresh a checkpoint is.

        One witness of the quorum that goes on, while the others are silent, makes nothing fresh. Where no quorum is
        demanded, the newest cosignature's time.

        Returns:
            0 when these are no quorum, or there is none.
        """
        names: list[str] = []
        for witness in sorted(seen, key=lambda w: w.timestamp, reverse=True):
            names.append(witness.name)
            if self.is_quorum(names):
                return witness.timestamp
        return 0

    def _seen(self, signed: SignedCheckpoint) -> tuple[WitnessSeen, ...]:
        names = {(witness.key.name, witness.key.key_id): witness.name for witness in self.witnesses}
        seen = [
            WitnessSeen(names[signature.name, signature.key_id], timestamp_of(signature))
            for signature in signed.cosignatures
            if (signature.name, signature.key_id) in names
        ]
        # A witness MUST date its cosignature (tlog-witness); 0 says nothing about the newest tree, and neither does
        # what is no date.
        return tuple(witness for witness in seen if 0 < witness.timestamp <= LAST_DATE)


def policy_for_log(*vkeys: str) -> LogPolicy:
    """The policy of a log known by its keys alone: any one suffices, no witness is known, quorum none.

    Raises:
        UsageError: no key, one that is no log key, or the same public key twice.
    """
    if not vkeys:
        raise UsageError("no log key given")
    builder = _Builder()
    for vkey in vkeys:
        builder.log(vkey)
    builder.quorum(NONE)
    return builder.build()


def parse_policy(text: str | bytes) -> LogPolicy:
    """Reads a tlog-policy file, strictly: an unknown or malformed line is an error.

    Names are opaque octets: bytes that are not UTF-8 come back as surrogate escapes.

    Raises:
        UsageError: not a policy, with the number of the line.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_POLICY_BYTES:
        raise UsageError(f"policy has {len(data):,} bytes; at most {MAX_POLICY_BYTES:,} are accepted")
    if found := _FORBIDDEN.search(data):
        raise UsageError(f"policy holds the control character 0x{found[0][0]:02x} at byte {found.start()}")
    if not data.endswith(b"\n"):
        raise UsageError("the policy's last line does not end in a newline: it may be cut short")
    builder = _Builder()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
        words = [word for word in re.split("[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            try:
                builder.line(words)
            except UsageError as error:
                raise UsageError(error.what, where=f"policy line {number}", hint=error.hint) from error
    return builder.build()


class _Builder:
    """Collects a policy line by line; what it refuses, it refuses at the line."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._quorum: str | None = None
        self._free: dict[str, bool] = {}  # each defined name: may it still be made a member?

    def line(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.log(vkey, *url)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self.witness(name, vkey, *url)
            case ["group", name, threshold, *members]:
                self.group(name, threshold, members)
            case ["quorum", name]:
                self.quorum(name)
            case _:
                raise UsageError(
                    f"not a policy line: {' '.join(words)[:80]!r}",
                    hint="lines are: log <vkey> [<url>]; witness <name> <vkey> [<url>]; "
                    "group <name> all|any|<k> <member>...; quorum <name>|none",
                )

    def log(self, vkey: str, url: str | None = None) -> None:
        key = _key(vkey, _LOG_KEYS, "log")
        self._refuse_duplicate(key, [log.key for log in self._logs], "log")
        self._logs.append(PolicyLog(key, url))

    def witness(self, name: str, vkey: str, url: str | None = None) -> None:
        key = _key(vkey, _WITNESS_KEYS, "witness")
        self._refuse_duplicate(key, [witness.key for witness in self._witnesses], "witness")
        self._define(name)
        self._witnesses.append(PolicyWitness(name, key, url))

    def group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member not in self._free:
                raise UsageError(f"group member {member!r} is not defined on a preceding line")
            if not self._free[member]:
                raise UsageError(f"{member!r} is a group member already, and may be only once")
            self._free[member] = False
        self._define(name)
        self._groups.append(PolicyGroup(name, _threshold(threshold, len(members)), tuple(members)))
        _demand_few(self._groups, "groups")

    def quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise UsageError("a second quorum line; exactly one is needed")
        if name != NONE and name not in self._free:
            raise UsageError(f"quorum {name!r} is not defined on a preceding line")
        self._quorum = name

    def build(self) -> LogPolicy:
        if self._quorum is None:
            raise UsageError("the policy has no quorum line", hint="`quorum none` demands no cosignature")
        both = {log.key.public_key for log in self._logs} & {w.key.public_key for w in self._witnesses}
        if both:
            raise UsageError("a log's own key is listed as a witness: it would witness itself")
        return LogPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _define(self, name: str) -> None:
        if name == NONE or name in self._free:
            raise UsageError(f"the name {name!r} is {'reserved' if name == NONE else 'defined already'}")
        self._free[name] = True

    @staticmethod
    def _refuse_duplicate(key: PublicKey, others: list[PublicKey], what: str) -> None:
        for other in others:
            if other.public_key == key.public_key:  # "duplicate if they wrap the same underlying public key"
                raise UsageError(f"{what} {key.name!r} has the same public key as {what} {other.name!r}")
        _demand_few([*others, key], f"{what} lines")


def _key(vkey: str, accepted: tuple[type[PublicKey], ...], what: str) -> PublicKey:
    try:
        vkey.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} key is not UTF-8") from error
    key = parse_vkey(vkey)
    if not isinstance(key, accepted):
        types = " or ".join(str(kind.TYPE) for kind in accepted)
        raise UsageError(f"{what} {key.name!r} has a key of signature type {key.TYPE}; a {what} needs type {types}")
    return key


def _threshold(text: str, members: int) -> int:
    if not members:
        raise UsageError("a group needs at least one member")
    if text in ("any", "all"):
        return 1 if text == "any" else members
    if not _NUMBER.match(text) or int(text) > members:
        raise UsageError(f"group threshold {text[:20]!r} is not `any`, `all` or a number from 1 to {members}")
    return int(text)


def _demand_few(items: list[PublicKey] | list[PolicyGroup], what: str) -> None:
    if len(items) > MAX_POLICY_ITEMS:
        raise UsageError(f"policy has more than {MAX_POLICY_ITEMS} {what}")

"""Trust on first use: when somebody asks for it, the signer and the log of a dataset's first release are pinned.

It proves nothing about the first contact: whoever handed out the data may have handed out the key. It makes a later
change of signer or log loud. `verify --trust-on-first-use` says so each time, and no gate takes it.

The pins lie beside the memory of releases (`dataseal.verifiers.seen`), canonical JSON
(``tests/verifiers/test_first_use.py`` parses it)::

    {"datasets":{"acme/reviews":{"at":"2026-01-02T03:04:05Z","keys":["<SubjectPublicKeyInfo, base64>"],
                                 "log":"dataseal.invalid/0123456789abcdef+<id>+<key>"}},"v":1}
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.durable import write_whole
from dataseal.ledger.errors import FormatError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.trust import Signer, TrustedLog, read_log
from dataseal.verifiers.facts import LogFacts, ReleaseFacts
from dataseal.verifiers.finding import Finding
from dataseal.verifiers.seen import Seen

MAX_PINS: Final = 4 * 1024 * 1024
"""Bytes: some 10,000 datasets."""

PINNED: Final = "pinned on first use"


@dataclass(frozen=True, slots=True)
class Pin:
    """What was pinned: the keys that signed, the log's verifier key, and when (RFC 3339)."""

    keys: tuple[PublicKey, ...]
    log: str
    at: str

    def signers(self) -> list[Signer]:
        """The keys as trusted signers."""
        return [Signer.of(f"pinned:{key.fingerprint[:16]}", key) for key in self.keys]

    def trusted_log(self) -> TrustedLog:
        """The log as a trusted one."""
        return TrustedLog(PINNED, read_log(self.log.encode()))


class FirstUse:
    """The memory that `examine` asks and tells: releases seen before, and the pins of one dataset.

    Args:
        seen: the memory of releases, beside whose file the pins lie. dataset: whose pins.
        keys: the publishers that were named now; those that signed are pinned. log: the log that was named now.

    Attributes:
        pin: what was pinned before, or None. made: what this run pinned, or None.

    Raises:
        UsageError: the pins are damaged. Unavailable: they can't be read.
    """

    def __init__(
        self, seen: Seen, dataset: str, *, keys: Sequence[PublicKey] = (), log: TrustedLog | None = None, now: datetime
    ) -> None:
        self._seen, self._dataset, self._now = seen, dataset, now
        self._keys = {key.fingerprint: key for key in keys}
        self._log = log
        self.path = seen.path.with_name("first-use.json")
        self.pin = _read(self.path).get(dataset)
        self.made: Pin | None = None

    def findings(self, release: ReleaseFacts, log: LogFacts | None, *, pinned: bool) -> list[Finding]:
        """What the memories have against a release."""
        found = self._seen.findings(release, log, pinned=pinned)
        if self.pin is None:
            return found
        known = [key.fingerprint for key in self.pin.keys]
        if not set(known) & set(release.signed_by):
            found.append(self._changed("signature.changed", "signer", ", ".join(release.signed_by), ", ".join(known)))
        if log is not None and log.log != PINNED:
            found.append(self._changed("log.changed", "log", log.origin, self.pin.log))
        return found

    def remember(self, release: ReleaseFacts, log: LogFacts | None) -> None:
        """Notes a release that passed; pins its signers and log when nothing is pinned yet.

        Raises:
            Unavailable: a file can't be written. UsageError: it is damaged.
            IntegrityError: another run pinned something else at the same time.
        """
        self._seen.remember(release, log)
        if self.pin is None and log is not None and self._log is not None:
            keys = tuple(key for fingerprint, key in self._keys.items() if fingerprint in release.signed_by)
            at = self._now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            pin = Pin(keys, self._log.policy.logs[0].key.vkey, at)
            held = _add(self.path, self._dataset, pin)
            if (held.keys, held.log) != (pin.keys, pin.log):
                raise IntegrityError(
                    f"another signer or log of {self._dataset} was pinned meanwhile",
                    where=str(self.path),
                    hint="somebody verified another copy at the same time: run again, and compare the two",
                )
            self.made = pin

    def _changed(self, check: str, what: str, observed: str, expected: str) -> Finding:
        assert self.pin is not None
        return Finding(
            check,
            f"the {what} of {self._dataset} changed: it is {observed}; {expected} was pinned on first use "
            f"at {self.pin.at}",
            observed=observed,
            expected=expected,
            hint=f"ask the publisher by another way; if the change is right, remove the pin from {self.path}",
        )


def _add(path: Path, dataset: str, pin: Pin) -> Pin:
    """Pins, unless something is pinned already; gives what is pinned now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            pins = _read(path)
            held = pins.setdefault(dataset, pin)  # of two first uses at once the first counts
            document = {
                name: {"keys": [key.to_spki() for key in one.keys], "log": one.log, "at": one.at}
                for name, one in pins.items()
            }
            write_whole(path, canonical.encode({"v": 1, "datasets": document}))
            return held
    except OSError as error:
        raise Unavailable(
            f"can't pin the signer: {error.strerror}", where=str(path), hint="let XDG_STATE_HOME name a writable folder"
        ) from None


def _read(path: Path) -> dict[str, Pin]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"can't read the pins: {error.strerror}", where=str(path), hint="check permissions") from None
    try:
        value = canonical.decode_canonical(data, what="pins", max_bytes=MAX_PINS)
        if not isinstance(value, dict) or value.get("v") != 1 or set(value) != {"v", "datasets"}:
            raise FormatError("not version 1")
        return {str(name): _pin(item) for name, item in value["datasets"].items()}
    except (FormatError, UsageError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the pins are damaged: {error}",
            where=str(path),
            hint="restore the file; without it the next contact is a first one",
        ) from None


def _pin(item: Any) -> Pin:
    keys = tuple(PublicKey.from_spki(text) for text in item["keys"])
    if not keys or not isinstance(item["at"], str):
        raise FormatError("a pin without keys or time")
    read_log(item["log"].encode())
    return Pin(keys, item["log"], item["at"])

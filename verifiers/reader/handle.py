"""What ``dataseal gate --hold handle`` hands to its command: the verified contents, and a folder for reports.

``DATASEAL_HANDLE`` names a file in a folder of the gate's own, canonical JSON. Each target has its pin, so that the
command needs no policy and no key: it reads what the gate verified, or nothing::

    {"reads":"/tmp/dataseal-gate-x2f/reads","targets":[{"path":"/srv/reviews","pin":{"chunk_hash":"sha256",
     "chunk_size":4194304,"dataset":"acme/reviews",
     "root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2",
     "table":"0d4fc4a78d3706edccafb665a8b2fdd9309e82c78625bb0f2b8e7bb9e1c4d21c","version":"1.1.0"},
     "protocol":"file"}],"v":1}

A handle is believed only if nobody but its owner, who is this process's user or root, could have written it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.verifiers.reader.chunks import CACHE_BYTES
from dataseal.verifiers.reader.opened import Opened, Place, open_pinned
from dataseal.verifiers.reader.pin import Pin, parse_pin

VARIABLE: Final = "DATASEAL_HANDLE"
MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Handed:
    """One target of a handle."""

    protocol: str
    path: str
    pin: Pin


@dataclass(frozen=True, slots=True)
class Handle:
    """A gate's handle: its targets, and the folder that reads are reported to."""

    targets: tuple[Handed, ...]
    reads: str

    def encode(self) -> bytes:
        """The file's bytes."""
        targets = [{"protocol": t.protocol, "path": t.path, "pin": t.pin.json()} for t in self.targets]
        return canonical.encode({"v": 1, "reads": self.reads, "targets": targets})

    def choose(self, names: Sequence[str]) -> Handed:
        """The target that is called so, the only one if nothing is.

        Raises:
            UsageError: none, or more than one.
        """
        if not names and len(self.targets) == 1:
            return self.targets[0]
        found = [t for t in self.targets if any(n in (t.pin.dataset, t.pin.name) for n in names)]
        if len(found) == 1:
            return found[0]
        what = "is not one of" if not found and names else "names more than one of"
        shown = " or ".join(names) or "no name"
        raise UsageError(
            f"{shown} {what} the datasets that the gate handed over",
            hint=f"give dataset=, one of: {', '.join(t.pin.name for t in self.targets)}",
        )


def parse(data: bytes) -> Handle:
    """Reads a handle, strictly.

    Raises:
        FormatError: it is none.
    """
    value: Any = canonical.decode_canonical(data, what="handle", max_bytes=MAX_BYTES)
    if not isinstance(value, dict) or set(value) != {"v", "reads", "targets"} or value["v"] != 1:
        raise FormatError("not a handle of version 1")
    if not isinstance(value["reads"], str) or not isinstance(value["targets"], list) or not value["targets"]:
        raise FormatError("a handle has a folder for reports and at least one target")
    targets = []
    for item in value["targets"]:
        if not isinstance(item, dict) or set(item) != {"protocol", "path", "pin"}:
            raise FormatError("a handle's target has a protocol, a path and a pin")
        if not isinstance(item["protocol"], str) or not isinstance(item["path"], str):
            raise FormatError("a handle's protocol and path are texts")
        targets.append(Handed(item["protocol"], item["path"], parse_pin(item["pin"], what="handle")))
    return Handle(tuple(targets), value["reads"])


def load(path: str) -> Handle:
    """The handle in a file that only its owner can write.

    Raises:
        UsageError: it is missing, no handle, or somebody else could have written it.
    """
    try:
        _check_owner(os.stat(os.path.dirname(os.path.abspath(path))), path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _check_owner(os.fstat(descriptor), path)
            return parse(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise UsageError(
            f"can't read the gate's handle: {error.strerror}",
            where=path,
            hint="it lives as long as its gate: open the dataset in the command that the gate started",
        ) from None
    except FormatError as error:
        raise UsageError(f"the gate's handle can't be used: {error.what}", where=path) from None


def _check_owner(found: os.stat_result, path: str) -> None:
    if found.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(found.st_mode) & 0o022:
        raise UsageError(
            "the gate's handle could have been written by somebody else",
            where=path,
            hint="run the command as the user who runs the gate",
        )


def from_environment(
    *, dataset: Sequence[str] = (), cache_bytes: int = CACHE_BYTES, reads: str | None = None
) -> Opened:
    """What the gate handed to this process.

    Raises:
        UsageError: nothing, or nothing of that name. IntegrityError: the content changed since the gate looked.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise UsageError(
            "nothing says whom to trust, and no gate handed a dataset over",
            hint="give policy=, or publisher=, log= and dataset=, or a pinned root= and table=; "
            "or run under `dataseal gate --hold handle`",
        )
    handle = load(path)
    if reads is not None:
        raise UsageError("a gate's handle says itself where reads are reported", hint="leave reads= out")
    chosen = handle.choose(dataset)
    place = Place(chosen.protocol, chosen.path)
    return open_pinned(place, chosen.pin, cache_bytes=cache_bytes, reads=handle.reads)

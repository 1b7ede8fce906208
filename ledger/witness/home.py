"""A witness's folder: its state and its keys.

::

    witness.sqlite      what it remembers (`state`): losing it, or restoring an older copy, ends this witness
    witness.vkey        its verifier keys, one a line: to hand out
    keys/ed25519.key    type 4
    keys/ml-dsa-44.key  type 6, if it was asked for

A state belongs to its keys and they to it: none is ever made anew for the other.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner, MLDSA44Cosigner
from dataseal.ledger.tlog.limits import MAX_NAME_BYTES
from dataseal.ledger.tlog.note import is_key_name
from dataseal.ledger.witness.state import State
from dataseal.ledger.witness.witness import Cosigner, Witness

STATE: Final = "witness.sqlite"
VKEYS: Final = "witness.vkey"
_SCHEMES: Final = ("ed25519", "ml-dsa-44")


def create(folder: Path, name: str, *, ml_dsa: bool = False, passphrase: bytes | None = None) -> tuple[str, ...]:
    """Makes a witness called ``name`` (a URL without its scheme); returns its verifier keys.

    Raises:
        UsageError: the folder holds one already, or no witness can have this name.
        Unavailable: it can't be written; what was made of it is removed.
    """
    if not is_key_name(name) or "://" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(
            f"{name[:80]!r} can't be a witness's name", hint="a URL without its scheme, such as witness.example.org/w1"
        )
    for part in (STATE, VKEYS, "keys"):
        if os.path.lexists(folder / part):
            raise UsageError(f"{folder / part} exists", hint="choose another folder: a witness is never overwritten")
    try:
        (folder / "keys").mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise Unavailable(f"can't make a witness in {folder}: {error.strerror}", hint="check permissions") from None
    try:
        vkeys = _fill(folder, name, _SCHEMES if ml_dsa else _SCHEMES[:1], passphrase)
    except BaseException as error:
        shutil.rmtree(folder / "keys", ignore_errors=True)
        for part in (VKEYS, STATE, f"{STATE}-wal", f"{STATE}-shm"):
            with suppress(OSError):
                (folder / part).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unavailable(f"can't make a witness in {folder}: {error.strerror}", hint="check disk space") from None
        raise
    return vkeys


def load(folder: Path, passphrase: Passphrase) -> Witness:
    """Opens the witness in ``folder``; the caller closes its ``state``.

    Raises:
        UsageError: none there, or keys and state do not belong together. Unavailable: the state is locked.
    """
    state = State(folder / STATE)
    try:
        name = state.meta().get("name", "")
        files = [folder / "keys" / f"{scheme}.key" for scheme in _SCHEMES]
        keys = [keyfile.load(file, passphrase) for file in files if file.is_file()]
        return Witness(state, [_cosigner(name, key.private) for key in keys])
    except BaseException:
        state.close()
        raise


def _fill(folder: Path, name: str, schemes: tuple[str, ...], passphrase: bytes | None) -> tuple[str, ...]:
    vkeys = []
    for scheme in schemes:
        key = keyfile.generate(scheme)
        path = folder / "keys" / f"{scheme}.key"
        keyfile.save(key, path, passphrase)
        path.with_suffix(".pub").unlink()  # a witness is known by its verifier key
        vkeys.append(_cosigner(name, key.private).vkey)
    state = State(folder / STATE, create=True)
    state.describe({"name": name, "vkeys": "\n".join(vkeys)})
    state.close()
    (folder / VKEYS).write_text("".join(f"{vkey}\n" for vkey in vkeys), encoding="utf-8")
    return tuple(vkeys)


def _cosigner(name: str, key: object) -> Cosigner:
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Cosigner(name, key)
    if isinstance(key, MLDSA44PrivateKey):
        return MLDSA44Cosigner(name, key)
    raise UsageError("a witness's keys are Ed25519 and ML-DSA-44", hint="make one with `dataseal ledger witness init`")

"""Keys in GnuPG: ECDSA keys on P-256 and P-384, signed with by gpg-agent. ``gnupg:FINGERPRINT``, 40 digits.

``gpg --sign`` makes OpenPGP signatures, and so does securesystemslib's signer. They are over the message *and* a
trailer of OpenPGP's own (RFC 9580 section 5.2.4), so that no verifier of DSSE finds them over the PAE: such a signature
can't stand in a Sigstore bundle. The agent below gpg signs a bare digest with an ECDSA key, and that is the very
signature that a bundle wants. With Ed25519 it signs the digest in place of the message, which is no Ed25519 signature
of the message; and RSA is no scheme of ours. Both are refused.

The key stays in the agent (or on the card behind it), which asks for its passphrase by itself.

Sources: GnuPG manual, "Agent's Assuan Protocol" (READKEY, SIGKEY, SETHASH, PKSIGN); libgcrypt manual, "S-expressions".
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers.base import KeySigner

CURVES: Final[dict[str, tuple[type[ec.EllipticCurve], str]]] = {
    "nistp256": (ec.SECP256R1, "sha256"),
    "nistp384": (ec.SECP384R1, "sha384"),
}
"""GnuPG's names of curves, and the hash that our scheme has for each."""

ECDSA: Final = "19"
"""RFC 9580 section 9.1."""

SECONDS: Final = 300
"""For a person at the agent's pinentry."""

_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}\Z")


class AgentSigner(KeySigner):
    """A key of gpg-agent's, by its keygrip. Made by `open_key`."""

    def __init__(self, grip: str, public: PublicKey, digest: str) -> None:
        self._grip = grip
        self._public = public
        self._digest = digest

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The ECDSA signature, DER.

        Raises:
            Unavailable: the agent did not sign.
        """
        digest = hashlib.new(self._digest, message).hexdigest()
        made = _ask(f"SIGKEY {self._grip}", f"SETHASH --hash={self._digest} {digest}", "PKSIGN")
        values = _named(made)
        return encode_dss_signature(int.from_bytes(values["r"]), int.from_bytes(values["s"]))


def open_key(fingerprint: str) -> AgentSigner:
    """The key or subkey with this fingerprint.

    Raises:
        UsageError: no GnuPG, no such secret key, or one of a kind that can't sign here.
        Unavailable: the agent does not answer.
    """
    if not _FINGERPRINT.match(fingerprint):
        raise UsageError(
            "gnupg: is followed by a whole fingerprint, 40 hexadecimal digits",
            hint="`gpg --list-secret-keys --with-subkey-fingerprint` shows them",
        )
    grip, algorithm, curve = _find(fingerprint.upper())
    if algorithm != ECDSA or curve not in CURVES:
        raise UsageError(
            f"a GnuPG key of this kind ({curve or f'algorithm {algorithm}'}) signs in OpenPGP's own form, which no "
            "Sigstore bundle can hold",
            where=f"gnupg:{fingerprint}",
            hint="use an ECDSA key: gpg --quick-generate-key NAME nistp256 sign",
        )
    shape, digest = CURVES[curve]
    point = _named(_ask(f"READKEY {grip}"))["q"]
    return AgentSigner(grip, PublicKey.of(ec.EllipticCurvePublicKey.from_encoded_point(shape(), point)), digest)


def _find(fingerprint: str) -> tuple[str, str, str]:
    """Keygrip, algorithm and curve of a secret key, as ``gpg --with-colons`` lists it (GnuPG's doc/DETAILS)."""
    done = _run("gpg", "--batch", "--with-colons", "--with-keygrip", "--list-secret-keys", fingerprint)
    key: list[str] = []
    found = ""
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] in ("sec", "ssb"):
            key, found = fields, ""
        elif fields[0] == "fpr" and len(fields) > 9:
            found = fields[9]
        elif fields[0] == "grp" and len(fields) > 9 and found == fingerprint and len(key) > 16:
            return fields[9], key[3], key[16]
    raise UsageError(
        f"GnuPG has no secret key {fingerprint}",
        hint="`gpg --list-secret-keys --with-subkey-fingerprint` shows what it has; GNUPGHOME names another home",
    )


def _ask(*commands: str) -> bytes:
    """The data that the agent answers to the last of some commands.

    Raises:
        Unavailable: it answers with an error, or without data.
    """
    terminal = [f"OPTION ttyname={os.ttyname(0)}"] if sys.stdin.isatty() else []
    done = _run("gpg-connect-agent", *terminal, *commands, "/bye")
    lines = done.stdout.split(b"\n")
    errors = [line for line in lines if line.startswith(b"ERR ")]
    data = b"".join(line[2:] for line in lines if line.startswith(b"D "))
    if errors or not data:
        told = errors[0].decode("utf-8", "replace")[:200] if errors else "no answer"
        raise Unavailable(f"gpg-agent did not sign: {told}", hint="unlock the key, or look at the agent's log")
    return unquote_to_bytes(data)


def _run(program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603  our own words, and a fingerprint that was checked
            [program, *words], capture_output=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise UsageError(f"{program} is not installed", hint="install GnuPG") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{program} did not answer: {type(error).__name__}", hint="run the command again") from None


def _named(data: bytes) -> dict[str, bytes]:
    """The innermost ``(name value)`` pairs of a canonical S-expression.

    Raises:
        Unavailable: it is none, or leaves out what a key or a signature has.
    """
    found: dict[str, bytes] = {}
    lists: list[list[Any]] = []
    at = 0
    try:
        while at < len(data) and data[at : at + 1] != b"\0":
            mark = data[at : at + 1]
            if mark == b"(":
                lists.append([])
                at += 1
            elif mark == b")":
                done = lists.pop()
                if len(done) == 2:
                    found[done[0].decode("ascii")] = done[1]
                at += 1
            else:
                colon = data.index(b":", at)
                end = colon + 1 + int(data[at:colon])
                if not at < end <= len(data):
                    raise ValueError
                lists[-1].append(data[colon + 1 : end])
                at = end
    except (ValueError, IndexError):
        found = {}
    if not ({"q"} <= set(found) or {"r", "s"} <= set(found)):
        raise Unavailable("gpg-agent answered with neither a key nor a signature", hint="run the command again")
    return found

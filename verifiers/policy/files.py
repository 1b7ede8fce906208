"""The edge: where policies, key files and tlog-policy files are read from.

A reference is ``dataseal:NAME``, a policy that ships with dataseal, or a path. Every file is a regular file
of a bounded size; nothing here follows a name that a dataset brought along.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.publickey import MAX_PEM, PublicKey
from dataseal.ledger.tlog.limits import MAX_POLICY_BYTES
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.trust import read_log
from dataseal.ledger.trustedroot import MAX_ROOT, SigstoreRoot, shipped_root
from dataseal.verifiers.policy.problems import did_you_mean, listed, quoted
from dataseal.verifiers.policy.yamlfile import MAX_BYTES

BUILT_IN: Final = "dataseal:"
SHIPPED_ROOT: Final = "sigstore:"
SPKI: Final = "spki:"
"""Before a SubjectPublicKeyInfo in base64: a key on one line, which no path of a file looks like."""

MAX_CERTIFICATES: Final = 256 * 1024
"""Bytes of a file of roots: those of every public authority together take about 200 KiB."""

_VKEY = re.compile(r"[^\s/+]\S*\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}\Z")
"""A verifier key written out. No path of a file looks like one."""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy's bytes.

    Attributes:
        name: what people call it. text: its bytes.
        base: the folder that its paths start from; None when it may name no files: a shipped policy has no
            folder, and the digest that pins a parent does not cover other files.
    """

    name: str
    text: bytes
    base: Path | None


def builtin_names() -> tuple[str, ...]:
    """The policies that ship with dataseal, without the ``dataseal:``."""
    from importlib.resources import files

    names = (item.name for item in files("dataseal.policies").iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml")))


def find(ref: str) -> PolicyText:
    """Reads the policy that ``ref`` names.

    Raises:
        UsageError: there is none, or it can't be read.
    """
    if ref.startswith(BUILT_IN):
        return _built_in(ref.removeprefix(BUILT_IN))
    if "://" in ref:
        raise UsageError(
            f"policies are not fetched from {quoted(ref)}",
            hint="download it, look at it, and give its path",
        )
    path = Path(ref)
    if not path.exists() and ref in builtin_names():
        raise UsageError(f"no policy file {quoted(ref)}; did you mean {BUILT_IN + ref!r}?", where=ref)
    return PolicyText(ref, read(path, MAX_BYTES, "policy"), path.parent)


def _built_in(name: str) -> PolicyText:
    from importlib.resources import files

    known = builtin_names()
    if name not in known:
        shipped = [BUILT_IN + n for n in known]
        guess = did_you_mean(BUILT_IN + name, shipped)
        raise UsageError(
            f"no policy {quoted(BUILT_IN + name)} ships with dataseal{guess}",
            hint=listed("shipped", shipped),
        )
    return PolicyText(BUILT_IN + name, (files("dataseal.policies") / f"{name}.yaml").read_bytes(), None)


def read(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a regular file.

    Raises:
        UsageError: it is missing, no regular file, unreadable or larger than ``limit``.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"the {what} {quoted(str(path))} is not a regular file", hint="give a file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(
            f"the {what} {quoted(str(path))} can't be read: {reason}",
            hint="check the path and its permissions",
        ) from None
    if len(data) > limit:
        raise UsageError(f"the {what} {quoted(str(path))} has more than {limit:,} bytes", where=str(path))
    return data


def public_key(text: str, base: Path | None) -> PublicKey:
    """The key that a signer's ``key:`` names: a PEM block, a file with one, or ``spki:`` and its base64.

    Raises:
        UsageError: no such file, or no public key in it.
    """
    inline = "-----" in text
    try:
        if text.startswith(SPKI):
            return PublicKey.from_spki(text.removeprefix(SPKI))
        pem = text.encode("utf-8") if inline else read(_beside(text, base), MAX_PEM, "key file")
        return PublicKey.from_pem(pem)
    except FormatError as error:
        raise UsageError(error.what, where=None if inline else text, hint=error.hint) from None


def certificates(text: str, base: Path | None) -> bytes:
    """PEM certificates: the text itself, or the file that it names.

    Raises:
        UsageError: no such file.
    """
    return text.encode("utf-8") if "-----" in text else read(_beside(text, base), MAX_CERTIFICATES, "certificate file")


def sigstore_root(text: str, digest: str, base: Path | None) -> SigstoreRoot:
    """The Sigstore trusted root that a file holds, or that ``sigstore:INSTANCE`` says is shipped.

    Raises:
        UsageError: no such file or instance, or it has another SHA-256 than ``digest``.
    """
    if text.startswith(SHIPPED_ROOT):
        return SigstoreRoot.pinned(shipped_root(text.removeprefix(SHIPPED_ROOT)), digest, where=text)
    return SigstoreRoot.pinned(read(_beside(text, base), MAX_ROOT, "Sigstore trusted root"), digest, where=text)


def log_policy(text: str, base: Path | None) -> LogPolicy:
    """The log that a file or a text names: a tlog-policy, or a verifier key.

    Raises:
        UsageError: no such file, or neither in it.
    """
    inline = "\n" in text or _VKEY.match(text)
    policy = read_log(text.encode() if inline else read(_beside(text, base), MAX_POLICY_BYTES, "log file"))
    if not policy.logs:
        raise UsageError("the tlog-policy names no log", hint="add a line: log VKEY")
    return policy


def _beside(text: str, base: Path | None) -> Path:
    if base is None:
        raise UsageError(
            "this policy may name no files: its digest would not cover them",
            hint="put keys inline as PEM; name files in the policy that extends it",
        )
    return base / text

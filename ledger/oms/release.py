"""The OMS signature of a release, ``.dataseal/oms.sigstore.json``: made from the shard table, and held against it.

It says nothing that the release does not say, and says it to tools that read OMS only. So it is worth what the release
is worth: a verification accepts it from a signer of the release, and only when each of its files, digests and shard
roots is the shard table's and none is missing but those at a git name, which OMS leaves out.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from dataseal.ledger.credential import Credential, TrustedTime
from dataseal.ledger.credential import Signer as Recognised
from dataseal.ledger.errors import IntegrityError, SignatureInvalid, UsageError, VerificationError
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.oms import envelope, statement
from dataseal.ledger.signers.base import Signer


def wanted(signer: Signer, manifest: Manifest, excluded: Sequence[str], asked: bool | None) -> bool:
    """Whether a release gets an OMS signature: by default when its readers can check it.

    Args:
        excluded: paths that its recorded exclusions left out. asked: ``--oms`` or ``--no-oms``; None is the default.

    Raises:
        UsageError: it was asked for, and can't be made.
    """
    if asked is False:
        return False
    files = len(manifest.shards) - len(statement.omitted(shard.path for shard in manifest.shards))
    problem = None
    if signer.public is not None and not isinstance(signer.public.key, ec.EllipticCurvePublicKey):
        problem = f"OMS signatures are ECDSA signatures, and this key is {signer.public.scheme}"
    elif not files:
        problem = "an OMS signature can't name any of these files"
    elif files + len(excluded) > statement.MAX_FILES:
        problem = (
            f"an OMS signature names at most {statement.MAX_FILES:,} files, and here are {files + len(excluded):,}"
        )
    if problem and asked:
        raise UsageError(problem, hint="leave --oms out, or sign a dataset with fewer files with an ECDSA key")
    return problem is None


def make(
    manifest: Manifest,
    name: str,
    signer: Signer,
    *,
    excluded: Iterable[str] = (),
    present: bytes | None = None,
    now: datetime | None = None,
) -> bytes:
    """The OMS bundle of a release, verified before it leaves.

    Args:
        name: the release's subject name. excluded: paths that its recorded exclusions left out.
        present: the bundle of an earlier run. It stays when it says the same and is the signer's, so that signing
            twice gives one seal although ECDSA is randomised.
        now: the clock, for a certificate without a timestamp.

    Raises:
        UsageError: there is nothing that an OMS signature could name, or too much.
        SignatureInvalid: the signer's own signature does not verify.
    """
    payload = statement.encode_statement(manifest, name, excluded)
    # A Sigstore identity is known only once it has signed something.
    if present is not None and signer.public is not None and _still_holds(present, payload, signer, now):
        return present
    raw = envelope.encode(payload, signer.sign_payload(payload), signer.public)
    envelope.recognise(envelope.parse(raw), [signer.credential], now=now)
    return raw


def _still_holds(present: bytes, payload: bytes, signer: Signer, now: datetime | None) -> bool:
    try:
        parsed = envelope.parse(present)
        envelope.recognise(parsed, [signer.credential], now=now)
    except VerificationError:
        return False
    return parsed[0].payload == payload


def check(
    raw: bytes,
    manifest: Manifest,
    name: str,
    signers: Sequence[tuple[Recognised, Credential]],
    *,
    exclusions: Sequence[str] = (),
    times: Sequence[TrustedTime] = (),
    now: datetime | None = None,
) -> None:
    """Holds an OMS bundle against a verified release: who signed it, and then what it says (`agree`).

    Args:
        raw: the bundle's bytes. manifest, name, exclusions: see `agree`.
        signers: who signed the release, each with the credential that recognised it.
        times: trusted times of the release's own signatures. They may stand for this one's: what it says was said then.

    Raises:
        FormatError: not an OMS bundle. IntegrityError: it says something else. SignatureInvalid: another signer's.
    """
    parsed = envelope.parse(raw)
    known = {signer.fingerprint for signer, _ in signers}
    for signer in envelope.recognise(parsed, [credential for _, credential in signers], times, now=now):
        if signer.fingerprint not in known:
            raise SignatureInvalid(f"{signer.label} signed it, and not the release")
    agree(parsed[0].payload, manifest, name, exclusions)


def says_the_same(raw: bytes, manifest: Manifest, name: str, exclusions: Sequence[str]) -> bool:
    """Whether an OMS bundle, whoever signed it, says byte for byte what we would write for the release.

    For bundles of signers who are unknown here: what they say is compared, and not parsed.

    Raises:
        FormatError: not an OMS bundle.
    """
    payload = envelope.parse(raw)[0].payload
    ignored = statement.ignored_by(payload)
    return ignored is not None and _is_ours(payload, manifest, name, ignored) and not _unexplained(ignored, exclusions)


def agree(payload: bytes, manifest: Manifest, name: str, exclusions: Sequence[str]) -> None:
    """Holds what an OMS statement says against a verified release.

    What we would write for the release agrees with it, and comparing bytes costs a tenth of reading a hundred thousand
    resources. Whatever differs is read and compared one by one, to accept another layout or to say what is wrong.

    Args:
        payload: the statement. manifest: the verified shard table. name: the release's subject name.
        exclusions: its recorded globs.

    Raises:
        FormatError: no OMS statement.
        IntegrityError: another name, method or digest; a file too few or too many; or one that it ignores.
    """
    ignored = statement.ignored_by(payload)
    if ignored is None or not _is_ours(payload, manifest, name, ignored):
        signature = statement.read(payload)
        _compare(signature, manifest, name)
        ignored = tuple(signature.ignored or ())
    for path in _unexplained(ignored, exclusions):
        raise IntegrityError(f"it ignores {path!r}, which no recorded exclusion leaves out")


def _unexplained(ignored: Iterable[str], exclusions: Sequence[str]) -> list[str]:
    """Ignored paths that neither the format nor the release leaves out."""
    paths = [path for path in ignored if path not in statement.IGNORED]
    return [path for path in paths if not any(fnmatch.fnmatchcase(path, glob) for glob in exclusions)]


def _is_ours(payload: bytes, manifest: Manifest, name: str, ignored: Sequence[str]) -> bool:
    try:
        return statement.encode_statement(manifest, name, ignored) == payload
    except UsageError:  # more than is written
        return False


def _compare(signature: statement.Signature, manifest: Manifest, name: str) -> None:
    if signature.name != name or signature.shard_size is not None or signature.algorithm != "sha256":
        raise IntegrityError(f"it is not about {name}: it names {signature.name[:200]!r}")
    expected = {s.path: s for s in manifest.shards}
    for path in statement.omitted(expected):
        del expected[path]
    for path, shard in expected.items():
        file = signature.files.get(path)
        if file is None:
            raise IntegrityError(f"it leaves out {path!r}, which the release has")
        if file.digests != (shard.sha256,) or file.root != shard.root:
            raise IntegrityError(f"it has another digest or shard root for {path!r} than the release")
    more = sorted(signature.files.keys() - expected.keys())
    if more:
        raise IntegrityError(f"it names {more[0]!r}, which the release has not")

"""Verifying an OMS signature that somebody made with any OMS tool: ``dataseal verify --oms FILE TARGET``.

 1. The bundle parses; every signature in its envelope is a trusted signer's and counts now; enough persons signed.
 2. The statement parses.
 3. Each signed file is there, byte for byte; nothing else is, but what the statement says that it ignores.
 4. What hides behind an ignored path is named: nobody signed it, and the verification is partial.

An OMS signature names no dataset, no version and no predecessor, and its digest covers no file names: a pass says that
these are the files that a trusted signer signed at some time, and nothing about which dataset they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from dataseal.ledger import trust as trusts
from dataseal.ledger.bundle import Bundle
from dataseal.ledger.credential import Signer, TrustedTime
from dataseal.ledger.endorse import objection
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.hashing import File, Problem, Progress
from dataseal.ledger.oms import envelope, statement
from dataseal.ledger.oms import files as edge
from dataseal.ledger.oms.statement import Signature
from dataseal.ledger.paths import LEFT_OUT, SEAL
from dataseal.ledger.timestamp import trusted_times
from dataseal.ledger.trust import Trust
from dataseal.verifiers.compare import forbidden
from dataseal.verifiers.finding import Finding, Pointer, Severity
from dataseal.verifiers.verdict import Result

MAX_RANGES: Final = 16
"""Byte ranges that are listed for one file."""

_FETCH = "fetch the files again from where they were published; if they come like this, do not use them"


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of the envelope: the signer, and the trust document's names whom it counts for."""

    signer: Signer
    names: tuple[str, ...]


@dataclass(slots=True)
class OmsCheck:
    """What is established about one target and one OMS bundle.

    Attributes:
        target: as the user named it. signature: the verified statement, or None. signed: by whom.
        files, bytes: that were compared and are as signed. unsigned: how many files nobody signed and a reader sees.
        notes: what a person should know.
    """

    target: str
    signature: Signature | None = None
    signed: tuple[Signed, ...] = ()
    files: int = 0
    bytes: int = 0
    unsigned: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def result(self) -> Result:
        """PASSED only when a signature was verified, files were compared, and nothing failed."""
        failed = any(finding.severity == "error" for finding in self.findings)
        return Result.PASSED if self.signature is not None and self.files and not failed else Result.BLOCKED

    def _find(
        self, check: str, message: str, where: Sequence[Pointer], hint: str, *, severity: Severity = "error"
    ) -> None:
        self.findings.append(Finding(check, message, severity=severity, where=tuple(where), hint=hint))


def check(
    target: Path,
    bundle: Path,
    trust: Trust,
    *,
    now: datetime,
    threshold: int = 1,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> OmsCheck:
    """Verifies the files at ``target`` against the OMS bundle in the file ``bundle``.

    Args:
        target: a folder, or a single file. trust: whose signatures count; its logs are not asked.
        now: the clock, for certificates without a timestamp. threshold: how many distinct persons must have signed.

    Raises:
        Unavailable: a file can't be read. UsageError: the trust document can't be used.
    """
    result = OmsCheck(str(target))
    try:
        with bundle.open("rb") as stream:
            parsed = envelope.parse(stream.read(statement.MAX_BUNDLE + 1))
        result.signed = _signed(parsed, trust, now)
        signature = statement.read(parsed[0].payload)
    except OSError as error:
        raise Unavailable(f"can't read the OMS bundle: {error.strerror}", where=str(bundle)) from None
    except (Unavailable, UsageError):  # no evidence was judged
        raise
    except DatasealError as error:
        kind = "signature.untrusted" if isinstance(error, SignatureInvalid) else "signature.invalid"
        result._find(kind, error.what, [Pointer(str(bundle))], error.hint or _FETCH)
        return result
    persons = trust.count(
        [trusts.Signature(one.names, one.signer.fingerprint, one.signer.key) for one in result.signed], trust.signers
    )
    if persons < threshold:
        result._find(
            "signature.threshold",
            f"signed by {persons} of the {threshold} distinct signers that are wanted",
            [Pointer(str(bundle))],
            "ask the publisher for a bundle that the others signed too",
        )
        return result
    result.signature = signature
    _files(result, target, bundle, jobs=jobs, progress=progress)
    return result


def _signed(parsed: Sequence[Bundle], trust: Trust, now: datetime) -> tuple[Signed, ...]:
    """Step 1: every signature of the envelope."""
    found = []
    for number, bundle in enumerate(parsed, 1):
        try:
            found.append(_endorsed(bundle, trust, now))
        except SignatureInvalid as error:
            which = f"signature {number} of {len(parsed)}: " if len(parsed) > 1 else ""
            raise SignatureInvalid(f"{which}{error.what}", hint=error.hint) from None
    return tuple(found)


def _endorsed(bundle: Bundle, trust: Trust, now: datetime) -> Signed:
    times = trusted_times(bundle.timestamps, bundle.signature, tuple(trust.authorities.values()))
    [signer] = envelope.recognise([bundle], trust.credentials, times, now=now)
    names, refused = [], []
    for name, one in trust.compromises:  # a compromise is the key's, whatever else the key is listed as
        if why_not := _why_not(bundle, one, times, now):
            refused.append(f"signer {name!r} {why_not}")
    stolen = bool(refused)
    for listed_as in () if stolen else trust.signers.values():
        why = [_why_not(bundle, listed, times, now) for listed in listed_as.listed]
        if None in why:
            names.append(listed_as.name)
        refused += [f"signer {listed_as.name!r} {one}" for one in why if one]
    if not names:
        raise SignatureInvalid(
            f"the signature by {signer.label} does not count: {'; '.join(refused)}",
            hint="ask the publisher to sign anew, or look at the trust document",
        )
    return Signed(signer, tuple(names))


def _why_not(bundle: Bundle, listed: trusts.Listed, times: Sequence[TrustedTime], now: datetime) -> str | None:
    """Why a signature does not count for a listing: None when it does, and empty when it is another's."""
    try:
        [signer] = envelope.recognise([bundle], [listed.credential], times, now=now)
    except (SignatureInvalid, FormatError):
        return ""
    return objection(listed, sorted({*times, *signer.times}, key=lambda t: t.at), None, now)


def _files(result: OmsCheck, target: Path, bundle: Path, *, jobs: int | None, progress: Progress | None) -> None:
    """Steps 3 and 4."""
    signature = result.signature
    assert signature is not None
    if (statement.SINGLE in signature.files) == target.is_dir():
        result._find(
            "integrity.missing",
            "a single file was signed, and this is a folder"
            if target.is_dir()
            else "a folder was signed, not this file",
            [Pointer(result.target)],
            "give the file or the folder that was signed",
        )
        return
    try:
        files, problems = edge.walk(target)
        unsigned = [file for file in files if file.path not in signature.files]
        result.findings += _set_aside(result, signature, unsigned, problems, bundle)
        result.findings += _missing(signature, files)
        _compare(result, signature, [f for f in files if f.path in signature.files], jobs=jobs, progress=progress)
    except IntegrityError as error:
        result._find("integrity.unstable", error.what, [Pointer(error.where or "")], error.hint or _FETCH)


def _set_aside(
    result: OmsCheck, signature: Signature, unsigned: Sequence[File], problems: Sequence[Problem], bundle: Path
) -> list[Finding]:
    """What is there and was not signed: left out by rule, hidden by the signer, or somebody's addition."""
    findings: list[Finding] = []
    hidden: dict[str, list[str]] = {}
    left_out: dict[str, int] = {}
    links = {problem.path: problem for problem in problems}
    for file in (*unsigned, *(File(problem.path, "", 0) for problem in problems)):
        by_rule = next((name for name in LEFT_OUT if file.path.startswith(f"{name}/")), None)
        ignored = signature.hides(file.path)
        if file.path in signature.files:
            findings += forbidden([links[file.path]])
        elif by_rule and (ignored or by_rule != SEAL):
            left_out[by_rule] = left_out.get(by_rule, 0) + 1
        elif file.path not in links and _same(file.location, bundle):
            result.notes.append(f"left out: {file.path} (the signature itself)")
        elif ignored:
            hidden.setdefault(ignored, []).append(file.path)
        elif file.path in links:
            findings += forbidden([links[file.path]])
        else:
            findings.append(_extra(file, signature))
    result.notes += [
        f"left out: {name}/ ({count:,} files, never part of a dataset)" for name, count in left_out.items()
    ]
    result.unsigned = sum(map(len, hidden.values()))
    return findings + [_hidden(name, sorted(paths), signature) for name, paths in sorted(hidden.items())]


def _same(location: str, bundle: Path) -> bool:
    try:
        return os.path.samefile(location, bundle)
    except OSError:  # it vanished meanwhile: then it is not the signature that was read
        return False


def _hidden(ignored: str, paths: list[str], signature: Signature) -> Finding:
    says = (
        "the signer ignored" if signature.ignored is not None else "signers of this version ignore, without saying so,"
    )
    return Finding(
        "oms.ignored",
        f"{len(paths):,} file{'s' if len(paths) > 1 else ''} that nobody signed: {says} {ignored!r}",
        severity="warning",
        where=tuple(Pointer(path) for path in paths),
        hint="keep what reads the data away from them, or remove them",
    )


def _extra(file: File, signature: Signature) -> Finding:
    why = f"{file.size:,} bytes that the signer does not vouch for"
    if signature.shard_size is not None and not file.size:
        why = "it is empty, and a sharded OMS signature covers no empty files"
    return Finding(
        "integrity.extra",
        f"{file.path!r} was not signed: {why}",
        where=(Pointer(file.path),),
        expected="nothing of that name",
        hint="remove it, and find out who put it there",
    )


def _missing(signature: Signature, files: Sequence[File]) -> list[Finding]:
    there = {file.path for file in files}
    return [
        Finding(
            "integrity.missing",
            f"{path!r} is missing, and was signed",
            where=(Pointer(path),),
            hint="fetch it again from where it was published",
        )
        for path in sorted(signature.files.keys() - there)
    ]


def _compare(
    result: OmsCheck, signature: Signature, files: Sequence[File], *, jobs: int | None, progress: Progress | None
) -> None:
    made = edge.digests(files, signature.algorithm, signature.shard_size, jobs=jobs, progress=progress)
    for file, digests in zip(files, made, strict=True):
        wanted = signature.files[file.path]
        if digests == wanted.digests and wanted.size in (None, file.size):
            result.files += 1
            result.bytes += file.size
        else:
            result.findings.append(_changed(file, wanted, digests, signature.shard_size))


def _changed(file: File, wanted: statement.File, digests: Sequence[bytes], shard_size: int | None) -> Finding:
    size = f"; it has {file.size:,} bytes, {wanted.size:,} were signed" if wanted.size not in (None, file.size) else ""
    pointers: tuple[Pointer, ...] = (Pointer(file.path),)
    if shard_size is not None:
        pointers = tuple(
            Pointer(file.path, start=n * shard_size, end=min((n + 1) * shard_size, max(file.size, wanted.size or 0)))
            for n in range(max(len(digests), len(wanted.digests)))
            if digests[n : n + 1] != wanted.digests[n : n + 1]
        )
    return Finding(
        "integrity.changed",
        f"{file.path!r} is not what was signed{size}",
        where=pointers[:MAX_RANGES],
        observed=digests[0].hex() if len(digests) == 1 else None,
        expected=wanted.digests[0].hex() if len(wanted.digests) == 1 else None,
        hint=_FETCH,
        data={"ranges_total": len(pointers)} if shard_size is not None else {},
    )


def described(signature: Signature) -> Mapping[str, str]:
    """What a statement says of itself, for people. The folder's name in it is a claim, and decides nothing."""
    whole = signature.shard_size is None
    method = "whole files" if whole else f"shards of {signature.shard_size:,} bytes"
    name = f"{signature.name!r}, by the signer's word: an OMS digest covers no names" if signature.name else "not named"
    return {"oms": f"{signature.predicate_type}: {method}, {signature.algorithm}", "name": name}

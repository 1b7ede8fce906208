"""Verifications of OMS signatures, as text and as JSON."""

from __future__ import annotations

from typing import Any

from dataseal.cli.render import Report, count, finding_json, size
from dataseal.verifiers.oms import OmsCheck, described
from dataseal.verifiers.verdict import Result


def human(found: OmsCheck, *, verbose: bool = False) -> str:
    """For people; the last line is the result."""
    report = Report()
    if found.signature is not None:
        for name, value in described(found.signature).items():
            report.pair(name, value)
    for one in found.signed:
        report.pair("signed by", _signer(one.names, one.signer.fingerprint, one.signer.scheme, one.signer.label))
    for note in found.notes:
        report.pair("note", note)
    report.findings(found.findings, verbose=verbose)
    report.result(found.result, summary(found))
    return str(report)


def _signer(names: tuple[str, ...], fingerprint: str, scheme: str, label: str) -> str:
    # The command line's keys have no other name than their fingerprint.
    given = [name for name in names if name.rpartition(":")[2] != fingerprint[:16]]
    who = f"{scheme} {label}" if scheme in ("x509", "sigstore") else f"{scheme} key {fingerprint}"
    return f"{'/'.join(given)}, {who}" if given else who


def summary(found: OmsCheck) -> str:
    """What the last line says after its first word. An OMS signature names no dataset: the target is what was typed."""
    if found.result is not Result.PASSED:
        wrong = [finding for finding in found.findings if finding.severity == "error"]
        return f"{found.target}: {count(len(wrong), 'finding')}, the OMS signature does not hold for these files"
    partial = "partial " if found.unsigned else ""
    beside = f"; {count(found.unsigned, 'file')} beside them that nobody signed" if found.unsigned else ""
    return f"{partial}{found.target}: {count(found.files, 'file')}, {size(found.bytes)}, as signed{beside}"


def to_json(found: OmsCheck) -> dict[str, Any]:
    """A verification as JSON values."""
    signature = found.signature
    return {
        "command": "verify",
        "target": found.target,
        "result": str(found.result),
        "partial": found.unsigned > 0,
        "oms": None
        if signature is None
        else {
            "predicate_type": signature.predicate_type,
            "name": signature.name,
            "algorithm": signature.algorithm,
            "shard_size": signature.shard_size,
            "files": len(signature.files),
            "ignore_paths": None if signature.ignored is None else sorted(signature.ignored.values()),
        },
        "signatures": [
            {
                "signers": list(one.names),
                **{name: getattr(one.signer, name) for name in ("fingerprint", "key", "scheme", "label")},
            }
            for one in found.signed
        ],
        "files": found.files,
        "bytes": found.bytes,
        "unsigned": found.unsigned,
        "notes": list(found.notes),
        "findings": [finding_json(finding) for finding in found.findings],
    }

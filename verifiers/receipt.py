"""Receipts: the gate's verdict as a SLSA Verification Summary Attestation (VSA) v1, signed by a gate key.

One is logged before the command starts, a second when it ends. The subject is that of every statement about the
version. Fields beyond the VSA's own are named by URIs, as its specification asks
(``slsa.dev/spec/v1.1/verification_summary``)::

    {"inputAttestations":[{"digest":{"sha256":"<of the release bundle>"},"uri":".dataseal/release/1.sigstore.json"}],
     "policy":{"digest":{"sha256":"<of the resolved policy>"},"uri":"dataseal:pretraining"},
     "resourceUri":"dataseal:acme/reviews@1.1.0","slsaVersion":"1.1","timeVerified":"2026-01-02T03:04:05Z",
     "verificationResult":"PASSED","verifiedLevels":["DATASEAL_SIGNED","DATASEAL_LOGGED"],
     "verifier":{"id":"https://dataseal.invalid/gate/v1","version":{"dataseal":"0.1.0"}},
     "https://dataseal.invalid/gate/v1#run":{"command":"<sha256 of its arguments>","hold":"recheck",
        "id":"<of the run>","mode":"enforce",
        "opened":true,"phase":"start","result":"PASSED","rules":{"publisher":"pass"},"screen":{"seed":0,"private-phrase":"1"},
        "trust":"<sha256 of what the trust document decides>"}}
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger import statement as statements
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import UsageError
from dataseal.ledger.manifest import Manifest, Parameters, build, encode_table
from dataseal.verifiers.examine import Examination
from dataseal.verifiers.policy import Policy, trust_digest
from dataseal.verifiers.sources.local import LocalFolder
from dataseal.verifiers.verdict import Outcome

VERIFIER: Final = "https://dataseal.invalid/gate/v1"
RUN: Final = f"{VERIFIER}#run"
SLSA_VERSION: Final = "1.1"
UNVERIFIED: Final = "unverified"
"""The version in the subject of a receipt over data whose release statement did not verify."""

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def command_digest(command: Sequence[str]) -> str:
    """SHA-256 over the canonical JSON list of the command's arguments: the receipt binds it and does not show it."""
    return sha256(canonical.encode(list(command))).hex()


def receipt(
    examination: Examination,
    policy: Policy,
    *,
    source: LocalFolder,
    command: Sequence[str],
    hold: str,
    phase: str,
    run: str,
    now: datetime,
    extra: dict[str, Any] | None = None,
    failed: bool = False,
) -> bytes:
    """The statement's bytes, to be signed and logged.

    Args:
        phase: ``start`` or ``end``. run: the run's id, the same in both.
        extra: more facts of the run (whether the gate opened, exit code, recheck).
        failed: the run tainted the result (the data changed while it ran).

    Raises:
        UsageError: only a part was verified. FormatError: larger than a statement may be.
        Unavailable: data that must be hashed can't be read.
    """
    if examination.facts.part is not None:
        raise UsageError("a partial verification issues no receipt", hint="verify the whole dataset")
    dataset, ver, table, root = _subject(examination, policy, source)
    verdict = examination.verdict
    facts = {
        "id": run,
        "command": command_digest(command),
        "hold": hold,
        "mode": str(verdict.mode),
        "phase": phase,
        "result": str(verdict.result),
        "rules": {o.rule: str(o.outcome) for o in verdict.outcomes},
        "warnings": [o.rule for o in verdict.outcomes if o.outcome is Outcome.WARN],
        "screen": _screen(examination),
        "trust": trust_digest.digest(policy.trust),
        **(extra or {}),
    }
    predicate = {
        "verifier": {"id": VERIFIER, "version": {"dataseal": version("dataseal")}},
        "timeVerified": now.astimezone(UTC).strftime(TIME_FORMAT),
        "resourceUri": f"dataseal:{dataset}@{ver}",
        "policy": {"uri": policy.uri, "digest": {"sha256": policy.digest}},
        "inputAttestations": _inputs(examination),
        "verificationResult": "PASSED" if verdict.clean and not failed else "FAILED",
        "verifiedLevels": _levels(examination) if verdict.clean and not failed else ["FAILED"],
        "slsaVersion": SLSA_VERSION,
        RUN: facts,
    }
    return statements.encode(statements.VSA, predicate, dataset=dataset, version=ver, table=table, root=root)


def _subject(examination: Examination, policy: Policy, source: LocalFolder) -> tuple[str, str, str, str]:
    release = examination.checked.release
    if release is not None:
        return release.dataset, release.version, release.table, release.root
    # Nothing says what this is: the receipt names the bytes that are there.
    manifest = _actual(source)
    named = next((n for n in policy.datasets if not set("*?[") & set(n)), UNVERIFIED)
    dataset = named.rpartition("@")[0] or named
    return dataset, UNVERIFIED, sha256(encode_table(manifest)).hex(), manifest.root.hex()


def _actual(source: LocalFolder) -> Manifest:
    parameters = Parameters()
    return build(source.hash(source.walk(()).files, parameters, whole=True), parameters)


def _inputs(examination: Examination) -> list[dict[str, Any]]:
    return [
        {"uri": f".dataseal/{name}", "digest": {"sha256": sha256(item.bundle).hex()}}
        for name, item in examination.checked.bundles.items()
    ]


def _levels(examination: Examination) -> list[str]:
    facts = examination.facts
    levels = ["DATASEAL_SIGNED"]
    if facts.log is not None:
        levels.append("DATASEAL_WITNESSED" if facts.log.witnessed and facts.log.quorum_met else "DATASEAL_LOGGED")
    if facts.screen is not None:
        levels.append("DATASEAL_SCREENED")
    return levels


def _screen(examination: Examination) -> dict[str, Any] | None:
    """What makes the screen repeatable (DESIGN invariant 15)."""
    screen = examination.facts.screen
    if screen is None:
        return None
    return {"seed": screen.seed, **{d.detector: d.version for d in screen.detectors}}

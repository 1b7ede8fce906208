"""The OMS signature in a seal, ``.dataseal/oms.sigstore.json``: step 17 of verifying a release.

It is optional, and says nothing that the release does not say. What is there must be bound like every other file of the
seal: it agrees with the verified shard table, and a signer of the release made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from dataseal.ledger import seal
from dataseal.ledger.endorse import Endorsement
from dataseal.ledger.errors import DatasealError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.manifest import Manifest
from dataseal.ledger.oms import release as releases
from dataseal.ledger.oms.statement import MAX_BUNDLE
from dataseal.verifiers.finding import Finding, Pointer, Severity


def check(
    read: Callable[[str, int], bytes | None],
    endorsed: Sequence[Endorsement],
    manifest: Manifest,
    *,
    strangers: bool,
    now: datetime,
) -> list[Finding]:
    """Holds the OMS signature against the release that it travels with.

    Args:
        read: reads a file of the seal, bounded. endorsed: the release's signatures that count, at least one.
        manifest: the verified shard table. now: the clock, for a certificate without a trusted time.
        strangers: whether the release carries signatures of others too, one of whom may have made this one. That nobody
            known did is only worth a note then, since it says exactly what the release says.

    Raises:
        Unavailable: the file can't be read.
    """
    release = endorsed[0].verified.statement
    name, exclusions = f"{release.dataset}@{release.version}", release.release().exclusions
    try:
        raw = read(seal.OMS, MAX_BUNDLE) or b""
        releases.check(
            raw,
            manifest,
            name,
            [(one.verified.signer, one.verified.credential) for one in endorsed],
            exclusions=exclusions,
            times=sorted((time for one in endorsed for time in one.times), key=lambda time: time.at),
            now=now,
        )
    except SignatureInvalid as error:
        if strangers and releases.says_the_same(raw, manifest, name, exclusions):
            return [_finding("signature.unknown", error.what, "note")]
        return [_finding("integrity.seal", error.what, "error")]
    except (Unavailable, UsageError):  # no evidence was judged
        raise
    except DatasealError as error:
        return [_finding("integrity.seal", error.what, "error")]
    return []


def _finding(check: str, what: str, severity: Severity) -> Finding:
    return Finding(
        check,
        f".dataseal/{seal.OMS}: {what}",
        severity=severity,
        where=(Pointer(f".dataseal/{seal.OMS}"),),
        hint="remove it, or fetch .dataseal/ again from the publisher",
    )

"""Whose signature a bundle carries, as a trust document sees it: who is recognised, and whether it counts now.

 1. The trusted times are gathered: a pinned authority's timestamp over the signature, the witnesses' cosignatures over
    a tree that holds the bundle, and what the credential itself proves (Rekor's).
 2. `verify.verify_bundle`: a credential of the document recognises the signer. Each of the others is asked too.
 3. A compromise of any listing that recognises the signer stands against the signature under every other listing too.
 4. Each listing's validity is held against the earliest trusted time, or the clock when there is none; its compromise
    against the bundle's index in a log whose quorum of witnesses saw it there, or a trusted time
    (`dataseal.ledger.trust` has the rules).

A signature that no listing counts for is refused with the reason, like one by a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from dataseal.ledger import bundle as bundles
from dataseal.ledger.credential import TrustedTime
from dataseal.ledger.errors import SignatureInvalid, VerificationError
from dataseal.ledger.timestamp import trusted_times
from dataseal.ledger.trust import Compromise, Listed, Signature, Trust, TrustedLog
from dataseal.ledger.verify import Place, VerifiedStatement, find_place, recognised, verify_bundle, witnessed


class NotCounted(SignatureInvalid):
    """Somebody of the document signed, and the signature does not count: not valid then, or compromised."""


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A verified statement and what its signature counts for. Built by `endorse` only.

    Attributes:
        names: the document's signers whom it counts for, at least one. listed: the listing of each that it counts by.
        times: every trusted time of the signature, earliest first. place: where a trusted log holds it, or None.
        passed_over: signers of the document whom it does not count for, with the reason.
    """

    verified: VerifiedStatement
    names: tuple[str, ...]
    listed: tuple[Listed, ...]
    times: tuple[TrustedTime, ...]
    place: Place | None
    passed_over: tuple[str, ...] = ()

    @property
    def signature(self) -> Signature:
        """As `Trust.count` counts it."""
        return Signature(self.names, self.verified.signer.fingerprint, self.verified.signer.key)


def endorse(raw: bytes, trust: Trust, *, proof: bytes | None = None, now: datetime) -> Endorsement:
    """Verifies a bundle against a trust document.

    Args:
        raw: the bundle's bytes, as read. proof: the bytes of its ``.tlog-proof`` file, if it has one.
        now: the clock, UTC: what decides where no trusted time is known.

    Raises:
        FormatError: the bundle is malformed. SignatureInvalid: nobody of the document signed it.
            NotCounted: whoever did is not valid, or compromised.
        UsageError: the document names no signer.
    """
    place = find_place(raw, proof, tuple(trust.logs.values())) if proof is not None else None
    times = _times(raw, trust, place)  # 1
    verified = verify_bundle(raw, trust.credentials, times=times, now=now)  # 2
    known = tuple(sorted({*times, *verified.signer.times}, key=lambda t: (t.at, t.source, t.by)))
    counted: dict[str, Listed] = {}
    refused: list[str] = []
    for name, one in trust.compromises:  # 3
        if recognised(verified, one.credential) and (why := objection(one, known, place, now, trust.logs)):
            refused.append(f"signer {name!r} {why}")
    stolen = bool(refused)
    for signer in () if stolen else trust.signers.values():
        why = None
        for listed in signer.listed:
            if not recognised(verified, listed.credential):
                continue
            why = objection(listed, known, place, now, trust.logs)  # 4
            if why is None:
                counted[signer.name] = listed
                break
        if why is not None:
            refused.append(f"signer {signer.name!r} {why}")
    if not counted:
        raise NotCounted(
            f"the signature by {verified.signer.label} does not count: {'; '.join(refused)}",
            hint="ask the publisher to endorse this release with a valid key (`dataseal cosign`), "
            "or look at the trust document",
        )
    return Endorsement(verified, tuple(counted), tuple(counted.values()), known, place, tuple(refused))


def _times(raw: bytes, trust: Trust, place: Place | None) -> tuple[TrustedTime, ...]:
    found: list[TrustedTime] = []
    if trust.authorities:
        bundle = bundles.parse(raw)
        found += trusted_times(bundle.timestamps, bundle.signature, tuple(trust.authorities.values()))
    if place is not None and (seen := witnessed(place)):
        found.append(seen)
    return tuple(sorted(found, key=lambda time: time.at))


def objection(
    listed: Listed,
    times: Sequence[TrustedTime],
    place: Place | None,
    now: datetime,
    logs: Mapping[str, TrustedLog] = MappingProxyType({}),
) -> str | None:
    """Why a signature does not count for a listing; None when it does.

    Args:
        logs: those of the document, by name: two that have one origin are one log, under two keys.
    """
    at, basis = (
        (times[0].at, f"signed by {_text(times[0].at)}") if times else (now, f"no trusted time, now {_text(now)}")
    )
    if listed.valid_from is not None and at < listed.valid_from:
        return f"is valid from {_text(listed.valid_from)} ({basis})"
    if listed.valid_until is not None and at >= listed.valid_until:
        return f"was valid until {_text(listed.valid_until)} ({basis})"
    return _compromised(listed.compromised, times, place, logs) if listed.compromised else None


def _compromised(
    found: Compromise, times: Sequence[TrustedTime], place: Place | None, logs: Mapping[str, TrustedLog]
) -> str | None:
    where = f"this stands in log {place.log.name!r}" if place else "this stands in no trusted log"
    unknown = "for which the trust document gives no index"
    if place is not None and (named := _named(found, place, logs)):
        first = min(found.logs[log.name] for log in named)
        if place.index >= first:
            return f"is compromised from entry {first} of log {place.log.name!r}; this is entry {place.index}"
        if _quorum_met(place, named):
            return None
        # Whoever has the log's key alone can sign a tree of his own, with any index in it.
        where = f"this stands in log {place.log.name!r} by a checkpoint below its quorum of witnesses"
        unknown = "and the trust document gives no time"
    if found.since is None:
        return f"is compromised, and {where}, {unknown}"
    if not times:
        return f"is compromised since {_text(found.since)}, and {where} and has no trusted time"
    if times[0].at >= found.since:
        return f"is compromised since {_text(found.since)} (signed by {_text(times[0].at)})"
    return None


def _named(found: Compromise, place: Place, logs: Mapping[str, TrustedLog]) -> list[TrustedLog]:
    """The log where the bundle stands, under each name by which the compromise gives an index in it."""
    same = {n: log for n, log in logs.items() if any(one.key.name == place.checked.log for one in log.policy.logs)}
    return [log for name, log in ({place.log.name: place.log} | same).items() if name in found.logs]


def _quorum_met(place: Place, named: Sequence[TrustedLog]) -> bool:
    """Whether the place's witnesses are enough for its log, under the name that it was found by and each of ``named``.

    A name whose keys did not sign the checkpoint says nothing of it.
    """
    if not place.checked.quorum_met:
        return False
    for log in named:
        try:
            if not log.policy.check(place.checked.signed.data, require_quorum=False).quorum_met:
                return False
        except VerificationError:
            continue
    return True


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

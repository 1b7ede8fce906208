"""What of a trust document decides, as JSON values, and its digest.

The digest is the SHA-256 of their canonical JSON: credentials by fingerprint, validity, groups, moderators, logs with
their witnesses and quorum, timestamp authorities. File paths, comments and the order of keys are not in it, so that a
key that moves from a file into the document changes nothing, and a key that is exchanged behind one path does.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from dataseal.ledger import canonical
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.trust import Compromise, Listed, Trust


def digest(trust: Trust) -> str:
    """SHA-256, hexadecimal: what `dataseal trust digest` prints, and what pins a referenced document."""
    return hashlib.sha256(canonical.encode({"dataseal_trust": 1, **deciding(trust)})).hexdigest()


def deciding(trust: Trust) -> dict[str, Any]:
    """All that decides, JSON values only."""
    signers = {
        signer.name: sorted((_listed(one) for one in signer.listed), key=canonical.encode)
        for signer in trust.signers.values()
    }
    # Only where there are any: a document has none, and a digest that was pinned stays what it was.
    beside = sorted(({"name": name, **_listed(one)} for name, one in trust.beside), key=canonical.encode)
    return {
        **({"compromised": beside} if beside else {}),
        "signers": signers,
        "groups": {group: sorted(members) for group, members in trust.groups.items()},
        "moderators": sorted(trust.moderators),
        "logs": {log.name: {"operator": log.operator, "policy": _log(log.policy)} for log in trust.logs.values()},
        "timestamp_authorities": {name: found.fingerprint for name, found in trust.authorities.items()},
    }


def _listed(one: Listed) -> dict[str, Any]:
    return {
        "credential": one.credential.fingerprint,
        "scheme": one.credential.scheme,
        "valid_from": _time(one.valid_from),
        "valid_until": _time(one.valid_until),
        "compromised": _compromise(one.compromised) if one.compromised else None,
    }


def _compromise(found: Compromise) -> dict[str, Any]:
    return {"since": _time(found.since), "logs": dict(found.logs)}


def _time(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


def _log(policy: LogPolicy) -> dict[str, Any]:
    """What a tlog-policy decides: keys, witnesses, quorum. Addresses decide nothing."""
    return {
        "logs": sorted(log.key.vkey for log in policy.logs),
        "witnesses": {_text(w.name): w.key.vkey for w in policy.witnesses},
        "groups": {
            _text(g.name): {"threshold": g.threshold, "members": sorted(map(_text, g.members))} for g in policy.groups
        },
        "quorum": _text(policy.quorum),
    }


def _text(name: str) -> str:
    """A tlog-policy's names are opaque bytes; JSON's are not."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

"""``verify --trust-on-first-use``: which pins there are, whom to trust by them, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dataseal.ledger.trust import Trust
    from dataseal.verifiers.examine import Examination
    from dataseal.verifiers.first_use import FirstUse
    from dataseal.verifiers.policy import Policy
    from dataseal.verifiers.seen import Seen


def prepare(
    publishers: Sequence[str], logs: Sequence[str], datasets: Sequence[str], *, seen: Seen, digests: str, now: datetime
) -> tuple[Policy, FirstUse]:
    """The policy and the memory of a verification that trusts on first use.

    Raises:
        UsageError: not exactly one dataset; or a first contact without a key and a log to pin.
    """
    from dataseal.cli.trusting import read_logs, read_publishers
    from dataseal.verifiers import policy as policies
    from dataseal.verifiers.first_use import FirstUse

    names = {name.partition("@")[0] for name in datasets}
    if len(names) != 1:
        raise UsageError("--trust-on-first-use pins one dataset", hint="name it: --dataset NAME")
    keys, given = read_publishers(publishers), read_logs(logs)
    if len(given) > 1 or any(len(log.policy.logs) != 1 for log in given):
        raise UsageError("--trust-on-first-use pins one log with one key", hint="give one verifier key")
    name = names.pop()
    memory = FirstUse(seen, name, keys=keys, log=given[0] if given else None, now=now)
    pin = memory.pin
    if pin is None and not (keys and given):
        raise UsageError(
            f"nothing is pinned for {name} yet",
            hint="give --publisher KEY.pub and --log VKEY this once; better, compare them with the publisher's first",
        )
    signers = pin.signers() if pin else []
    pinned_log = pin.trusted_log() if pin else None
    # Whoever is named beside a pin is recognised, so that a change of signer or log can be told with both names.
    new = [key for key in keys if not pin or key.fingerprint not in {k.fingerprint for k in pin.keys}]
    others = [log for log in given if pin is None or log.policy.logs[0].key.vkey != pin.log]
    made = policies.command_line(
        publishers=[*signers, *new],
        logs=[*([pinned_log] if pinned_log else []), *others],
        datasets=[name],
        digests="all" if digests == "all" else "tree",
    )
    return made, memory


def demand_alone(*, policy: str | None, trust: Trust | None, threshold: int | None, no_log: bool) -> None:
    """Pinning goes without options that say otherwise whom to trust.

    Raises:
        UsageError: one of them was given.
    """
    if policy or trust or threshold is not None or no_log:
        raise UsageError(
            "--trust-on-first-use goes without --policy, --trust, --threshold and --no-log",
            hint="who has a policy or a trust document needs no first use: leave it out",
        )


def tell(memory: FirstUse, found: Examination) -> str:
    """Notes what was pinned; gives what the last line says before the dataset's name, so that it looks like no pass."""
    pin = memory.made or memory.pin
    if pin is None:
        return ""
    keys = ", ".join(key.fingerprint for key in pin.keys)
    if memory.made is None:
        found.checked.notes.insert(0, f"trusted since a first use at {pin.at}: key {keys}")
        return ""
    found.checked.notes.insert(
        0,
        f"FIRST USE: pinned key {keys} and log {pin.log}. Nothing vouches for them yet: compare them with the "
        "publisher's, by another way than the data came",
    )
    return "first use "

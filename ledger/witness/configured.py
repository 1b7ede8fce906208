"""The witnesses of a workspace's own log, as its ``dataseal.toml`` names them.

::

    [ledger.witnesses]
    policy = "witnesses.policy"     a C2SP tlog-policy file: this log, its witnesses with their URLs, the quorum
    fail_open = false               true: publish without the quorum, and say so
    timeout = 10.0                  seconds for everything that one witness is asked

Without the table nobody is asked, and checkpoints leave unwitnessed: the results say ``witnesses 0/0``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dataseal.ledger.errors import UsageError
from dataseal.ledger.signers.keyfile import read_key_file
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy
from dataseal.ledger.witness.client import Patience, Witnesses
from dataseal.ledger.witness.cosigning import Cosigning
from dataseal.ledger.witness.quorum import Quorum
from dataseal.ledger.witness.sizes import SizeFile

SIZES: Final = "witness-sizes.json"
"""Beside ``dataseal.toml``: see `dataseal.ledger.witness.sizes`."""


def read_policy(path: Path, vkey: str) -> LogPolicy:
    """The policy of a log's own witnesses.

    Args:
        vkey: the log's verifier key.

    Raises:
        UsageError: no policy; it is not of this log alone; or its quorum could never be met by asking.
    """
    where = str(path)
    try:
        policy = parse_policy(read_key_file(path))
    except UsageError as error:
        raise UsageError(f"the witnesses' policy: {error.what}", where=error.where or where, hint=error.hint) from None
    if [log.key.vkey for log in policy.logs] != [vkey]:
        named = ", ".join(log.key.vkey for log in policy.logs) or "none"
        raise UsageError(
            f"the witnesses' policy is for another log: its log lines name {named}",
            where=where,
            hint=f"give it one log line, of this ledger: log {vkey}",
        )
    asked = [witness.name for witness in policy.witnesses if witness.url is not None]
    if not asked or not policy.is_quorum(asked):
        raise UsageError(
            f"the witnesses' policy names {len(asked)} with a URL, which can't meet its quorum {policy.quorum!r}",
            where=where,
            hint="each witness that is to be asked needs its submission prefix: witness NAME VKEY URL",
        )
    return policy


def open_cosigning(
    path: Path, vkey: str, *, fail_open: bool, timeout: float, sizes: Path, offline: bool = False
) -> Cosigning:
    """The witnesses that a policy file names.

    Args:
        timeout: seconds for all requests to one witness. sizes: the file that remembers what each saw last.
        offline: they are not asked.

    Raises:
        As `read_policy`. UsageError: a witness's URL can't be one.
    """
    policy = read_policy(path, vkey)
    witnesses = Witnesses(policy, sizes=SizeFile(sizes), patience=Patience(timeout=timeout))
    return Cosigning(Quorum(policy, fail_open=fail_open), None if offline else witnesses)

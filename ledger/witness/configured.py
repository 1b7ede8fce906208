"""The witnesses of a workspace's own log, as its ``dataseal.toml`` names them.

::

    [ledger.witnesses]
    policy = "witnesses.policy"     # a C2SP tlog-policy file: this log, its witnesses with their URLs, the quorum
    fail_open = false               # true: publish without the quorum, and say so
    timeout = 10.0                  # seconds for everything that one witness is asked

The policy has one ``log`` line, with this log's verifier key; `dataseal.ledger.tlog.policy` shows one. A witness's
operator is told that key, and tells his own and the submission prefix.

Without the table nobody is asked, and checkpoints leave unwitnessed: the results say ``witnesses 0/0``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from dataseal.ledger.errors import UsageError
from dataseal.ledger.predicates import Model
from dataseal.ledger.signers.keyfile import read_key_file
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy
from dataseal.ledger.witness.limits import ASK_TIMEOUT

if TYPE_CHECKING:
    from dataseal.ledger.witness.cosigning import Cosigning

SIZES: Final = "witness-sizes.json"
"""Beside ``dataseal.toml``: see `dataseal.ledger.witness.sizes`."""


class WitnessesConfig(Model):
    """The table ``[ledger.witnesses]``."""

    policy: Annotated[str, Field(min_length=1)]
    fail_open: bool = False
    timeout: Annotated[float, Field(gt=0, le=300)] = ASK_TIMEOUT


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


def open_cosigning(folder: Path, config: WitnessesConfig, vkey: str, *, offline: bool = False) -> Cosigning:
    """The witnesses that a workspace's configuration names.

    Args:
        folder: the workspace's. vkey: its log's verifier key. offline: nobody is asked.

    Raises:
        As `read_policy`. UsageError: a witness's URL can't be one.
    """
    # HTTP and event loops load here: whoever has no witnesses needs none.
    from dataseal.ledger.witness.client import Patience, Witnesses
    from dataseal.ledger.witness.cosigning import Cosigning
    from dataseal.ledger.witness.quorum import Quorum
    from dataseal.ledger.witness.sizes import SizeFile

    policy = read_policy(folder / config.policy, vkey)
    patience = Patience(timeout=config.timeout)
    witnesses = Witnesses(policy, sizes=SizeFile(folder / SIZES), patience=patience)
    return Cosigning(Quorum(policy, fail_open=config.fail_open), None if offline else witnesses)

"""Who is trusted by one who opens a dataset: a policy, or publishers and logs. Never the environment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.trust import TrustedLog

if TYPE_CHECKING:
    from dataseal.verifiers.policy import Policy

Many = str | PathLike[str] | Sequence[str | PathLike[str]] | None
"""One, several, or none."""


def many(value: Many) -> tuple[str, ...]:
    """The values as texts.

    Raises:
        UsageError: something else.
    """
    if value is None:
        return ()
    if not isinstance(value, str | PathLike | Iterable):
        raise UsageError(f"a text or a path was expected, not {type(value).__name__}")
    given = [value] if isinstance(value, str | PathLike) else list(value)
    for item in given:
        if not isinstance(item, str | PathLike):
            raise UsageError(f"a text or a path was expected, not {type(item).__name__}")
    return tuple(fspath(item) for item in given)


def policy_of(policy: Policy | str | PathLike[str] | None, publisher: Many, log: Many, dataset: Many) -> Policy:
    """The policy that the arguments mean; it binds a dataset's name.

    Args:
        policy: a loaded policy, a file, or ``dataseal:NAME``. publisher: files of public keys.
        log: verifier keys, or files of them or of tlog-policies. dataset: ``NAME`` or ``NAME@VERSION``.

    Raises:
        UsageError: nobody to trust, no dataset named, or files that hold something else.
    """
    from dataseal.ledger.statement import check_dataset, check_version
    from dataseal.verifiers import policy as policies

    names = []
    for item in many(dataset):
        name, at, version = item.partition("@")
        try:
            check_dataset(name)
            if at:
                check_version(version)
        except FormatError as error:
            raise UsageError(error.what, where=error.where, hint=error.hint) from None
        names.append(name)
    keys, logs = _publishers(many(publisher)), _logs(many(log))
    if isinstance(policy, policies.Policy):
        if keys or logs:
            raise UsageError("a loaded policy names its own signers and logs", hint="leave publisher= and log= out")
        made = policy
    elif policy is not None:
        made = policies.load(fspath(policy), publishers=keys, logs=logs, datasets=names)
    else:
        if not keys or not logs:
            raise UsageError(
                "nobody to trust: no policy, and no publisher with a log",
                hint="give policy=, or publisher= and log= with dataset=, or a pinned root= and table=; "
                "under `dataseal gate --hold handle` leave all of them out",
            )
        made = policies.command_line(publishers=keys, logs=logs, datasets=names)
    if not made.datasets and not names:
        raise UsageError(
            "no dataset is named: whatever the publisher ever signed would pass",
            hint="give dataset=NAME, or a policy whose publisher rule names it",
        )
    return made


def _publishers(paths: Sequence[str]) -> list[PublicKey]:
    from dataseal.ledger.signers.keyfile import load_public

    return [load_public(Path(path)) for path in paths]


def _logs(values: Sequence[str]) -> list[TrustedLog]:
    from dataseal.ledger.signers.keyfile import read_key_file
    from dataseal.ledger.trust import read_log

    found = []
    for number, value in enumerate(values, 1):
        if "+" not in value or Path(value).is_file():
            policy = read_log(read_key_file(Path(value)))
        else:
            policy = read_log(value.encode("utf-8", "surrogateescape"))
        found.append(TrustedLog(f"log-{number}" if len(values) > 1 else "log", policy))
    return found

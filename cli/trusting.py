"""Options that say whom to trust, and what they make: a policy.

None has an environment twin: nothing in the environment loosens a check (DESIGN invariant 14). Names of signers and
logs are those of the trust document that ``--trust`` names on the command line; a workspace that merely lies around
here, which may have come with a download, names nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataseal.ledger.errors import DatasealError, UsageError

if TYPE_CHECKING:
    from dataseal.ledger.publickey import PublicKey
    from dataseal.ledger.trust import Signer, Trust, TrustedLog
    from dataseal.verifiers.policy import Policy

TRUST_FILE = "dataseal.trust"
"""Where `trusting` leaves ``--trust`` for `make_policy`, in the invocation's ``meta``."""

F = TypeVar("F", bound=Callable[..., Any])


def _datasets(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """``NAME`` or ``NAME@VERSION``, each a name that a release can have.

    Raises:
        UsageError: another text, such as a glob.
    """
    from dataseal.ledger.errors import FormatError
    from dataseal.ledger.statement import check_dataset, check_version

    for value in values:
        name, at, version = value.partition("@")
        try:
            check_dataset(name)
            if at:
                check_version(version)
        except FormatError as error:
            glob = "a policy's publisher rule takes globs: datasets: [NAME/*]" if set("*?") & set(value) else error.hint
            raise UsageError(f"--dataset {value!r}: {error.what}", hint=glob) from None
    return tuple(values)


_TRUST = (
    click.option("--policy", metavar="P", help="A policy file, or a shipped one: dataseal:NAME."),
    click.option("--trust", "trust_file", type=click.Path(path_type=Path), metavar="FILE",
                 help="A trust document, whose signers and logs --publisher and --log may name."),
    click.option("--publisher", "publishers", multiple=True, metavar="PUBKEY|NAME",
                 help="A trusted publisher: a public key file, or a signer of --trust; repeatable, any of them."),
    click.option("--log", "logs", multiple=True, metavar="VKEY|NAME",
                 help="A trusted log: its verifier key, a file with it, a tlog-policy file, or a log of --trust."),
    click.option("--dataset", "datasets", multiple=True, callback=_datasets, metavar="NAME[@VERSION]",
                 help="The dataset that is expected; repeatable, any of them."),
)  # fmt: skip


def trusting(function: F) -> F:
    """Adds the options that say whom to trust; they have no environment twins."""

    @wraps(function)
    def call(*arguments: Any, trust_file: Path | None, **options: Any) -> Any:
        click.get_current_context().meta[TRUST_FILE] = trust_file
        return function(*arguments, **options)

    wrapped: Any = call
    for option in reversed(_TRUST):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def read_publishers(paths: Sequence[str]) -> list[PublicKey]:
    """The public keys in files.

    Raises:
        UsageError: a file that is missing, or holds no public key.
    """
    from dataseal.ledger.signers.keyfile import load_public

    try:
        return [load_public(Path(path)) for path in paths]
    except UsageError as error:
        hint = error.hint or "give --publisher the publisher's public key file (.pub)"
        raise UsageError(f"--publisher: {error.what}", where=error.where, hint=hint) from None


def read_logs(values: Sequence[str]) -> list[TrustedLog]:
    """The logs behind verifier keys, files of verifier keys, and tlog-policy files.

    Raises:
        UsageError: neither.
    """
    from dataseal.ledger.signers.keyfile import read_key_file
    from dataseal.ledger.trust import TrustedLog, read_log

    logs = []
    for number, value in enumerate(values, 1):
        try:
            if Path(value).is_file():
                policy = read_log(read_key_file(Path(value)))
            elif "+" in value:
                policy = read_log(value.encode("utf-8", "surrogateescape"))
            else:
                raise UsageError(f"no such file: {value}")
        except DatasealError as error:
            hint = error.hint or "give --log a verifier key (NAME+ID+KEY), or a file that holds one (log.vkey)"
            raise UsageError(f"--log: {error.what}", where=error.where, hint=hint) from None
        logs.append(TrustedLog(f"log-{number}" if len(values) > 1 else "log", policy))
    return logs


def make_policy(
    policy: str | None,
    publishers: Sequence[str],
    logs: Sequence[str],
    datasets: Sequence[str],
    *,
    threshold: int | None = None,
    digests: Any = "tree",
    no_log: bool = False,
    partial: bool = False,
    fast: bool = False,
) -> Policy:
    """The policy of the options: the named one, or one of the command line's own making.

    Raises:
        UsageError: nobody to trust, or options that contradict each other.
    """
    from dataseal.verifiers import policy as policies

    if policy is not None and not policy.startswith("dataseal:"):
        _demand_outside(Path(policy), "policy")
    names = [name.partition("@")[0] for name in datasets]
    named = trust_file()
    signers, trusted = _publishers(publishers, named), _logs(logs, named)
    authorities = named.authorities if named else {}
    # A key that the document calls compromised stays so, whoever of it was chosen.
    compromised = tuple(named.signers.values()) if named else ()
    if policy is None:
        return policies.command_line(
            publishers=signers,
            logs=trusted if not no_log else read_logs(logs),
            datasets=names,
            threshold=threshold or 1,
            digests=digests,
            no_log=no_log,
            partial=partial,
            fast=fast,
            authorities=authorities,
            compromised=compromised,
        )
    if threshold is not None or no_log:
        raise UsageError(
            "--threshold and --no-log go with --publisher and without --policy",
            hint="write the threshold into the policy's publisher rule",
        )
    return policies.load(
        policy, publishers=signers, logs=trusted, datasets=names, authorities=authorities, compromised=compromised
    )


def names_trust_file() -> bool:
    """Whether the command line names a trust document."""
    return _trust_path() is not None


def trust_file() -> Trust | None:
    """The trust document of ``--trust``, and of nothing else: what merely lies around here names nobody."""
    from dataseal.verifiers.policy import trust_file as reader

    path = _trust_path()
    return reader.read(path) if path else None


def _trust_path() -> Path | None:
    context = click.get_current_context(silent=True)
    path: Path | None = context.meta.get(TRUST_FILE) if context else None
    if context is None or path is None:
        return None
    _demand_outside(path, "trust document")
    return path


def _demand_outside(path: Path, what: str) -> None:
    context = click.get_current_context(silent=True)
    params = context.params if context else {}
    target = params.get("target")
    for folder in (*params.get("targets", ()), *((target,) if target is not None else ())):
        if path.resolve().is_relative_to(Path(folder).resolve()):
            raise UsageError(
                f"the {what} lies inside the dataset's folder: whoever made the data wrote it",
                where=str(path),
                hint="keep your own outside, and look at this one before you take anything from it",
            )


def _publishers(values: Sequence[str], trust: Trust | None) -> list[PublicKey | Signer]:
    """The signers that ``--publisher`` names: keys in files, and names of the trust document.

    Raises:
        UsageError: neither, or a document that nobody of was named.
    """
    from dataseal.ledger.trust import GROUP, signer_of
    from dataseal.verifiers.policy.resolved import PUBLISHERS

    if trust is None:
        return list(read_publishers(values))
    if not values:
        if PUBLISHERS not in trust.groups:
            raise UsageError(
                "whom of the trust document?",
                hint=f"give --publisher NAME, or define group {PUBLISHERS!r} in it; "
                f"signers: {', '.join(trust.signers) or 'none'}",
            )
        return list(trust.resolve(GROUP + PUBLISHERS))
    found: list[PublicKey | Signer] = []
    for value in values:
        if value in trust.signers or value.removeprefix(GROUP) in trust.groups:
            found += trust.resolve(value)
        else:
            [key] = read_publishers([value])
            found.append(signer_of(trust.signers.values(), key) or key)  # with the document's validity, if it has it
    return found


def _logs(values: Sequence[str], trust: Trust | None) -> list[TrustedLog]:
    """The logs that ``--log`` names; without it, those of the trust document."""
    if trust is None:
        return read_logs(values)
    if not values:
        return list(trust.logs.values())
    found = [trust.logs[value] for value in values if value in trust.logs]
    for log in read_logs([value for value in values if value not in trust.logs]):
        keys = {one.key.vkey for one in log.policy.logs}
        known = [one for one in trust.logs.values() if keys == {other.key.vkey for other in one.policy.logs}]
        # The document speaks of its logs by name: one of them keeps its name, and no other one gets it.
        found.append(replace(log, name=known[0].name if known else f"{log.name} (command line)"))
    return list({log.name: log for log in found}.values())

"""``dataseal verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.context import Context, common, now
from dataseal.cli.trusting import make_policy, trust_file, trusting
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.hashing.remember import Memory
    from dataseal.ledger.trust import Trust
    from dataseal.ledger.workspace import Workspace
    from dataseal.verifiers.first_use import FirstUse
    from dataseal.verifiers.partial import Part


@click.command("verify")
@click.argument("target", type=click.Path(path_type=Path))
@trusting
@click.option(
    "--threshold", type=click.IntRange(min=1), metavar="K", help="How many distinct publishers must have signed."
)
@click.option("--no-log", is_flag=True, help="Do not check the ledger's proof.")
@click.option("--digests", type=click.Choice(["tree", "all"]), default="tree",
              help="`all` checks the whole-file SHA-256 digests too.")  # fmt: skip
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB",
    help="Prove only the signed shards that match; `*` crosses slashes; repeatable.",
)
@click.option("--sample", metavar="P", help="Prove a random sample of the chunks, such as 5%.")
@click.option("--fast", is_flag=True,
              help="Do not read files whose device, inode, size and times are those verified last.")  # fmt: skip
@click.option(
    "--oms",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Verify TARGET, a folder or one file, against this OpenSSF Model Signing bundle instead of a seal.",
)
@click.option("--trust-on-first-use", "first_use", is_flag=True,
              help="Pin --publisher and --log at the first contact with --dataset; a change is blocked.")  # fmt: skip
@common
def command(
    context: Context,
    target: Path,
    policy: str | None,
    publishers: tuple[str, ...],
    logs: tuple[str, ...],
    datasets: tuple[str, ...],
    threshold: int | None,
    no_log: bool,
    digests: str,
    only: tuple[str, ...],
    sample: str | None,
    fast: bool,
    oms: Path | None,
    first_use: bool,
) -> int:
    """Verify that TARGET is, byte for byte, what a trusted publisher signed and a trusted log holds.

    Needs no network, no ledger and no workspace: everything that proves the dataset lies in its .dataseal/ folder.
    With --only or --sample the last line says PASSED partial, which opens no gate. A policy must allow --fast.
    """
    from dataseal.cli import first_use as pinning
    from dataseal.cli import present
    from dataseal.verifiers.examine import examine
    from dataseal.verifiers.seen import memory
    from dataseal.verifiers.sources.local import LocalFolder

    part = _part(only, sample, digests, fast=fast)
    if oms is not None:
        if policy or logs or datasets or first_use:
            raise UsageError(
                "--oms goes without --policy, --log, --dataset and --trust-on-first-use",
                hint="an OMS signature names no dataset and stands in no log: say who signed, with --publisher",
            )
        if part is not None or fast:
            raise UsageError("--oms reads everything", hint="leave --only, --sample and --fast out")
        return _oms(
            context,
            target,
            oms,
            make_policy(None, publishers, (), (), threshold=threshold, no_log=True).trust,
            threshold or 1,
        )
    workspace = context.find_workspace(target)
    seen = memory(workspace.folder if workspace else None, named=context.workspace_named)
    pins: FirstUse | None = None
    if first_use:
        if part is not None or fast:
            raise UsageError("a first use reads everything", hint="leave --only, --sample and --fast out")
        pinning.demand_alone(policy=policy, trust=trust_file(), threshold=threshold, no_log=no_log)
        made, pins = pinning.prepare(publishers, logs, datasets, seen=seen, digests=digests, now=now())
    else:
        made = make_policy(policy, publishers, logs, datasets, threshold=threshold, digests=digests, no_log=no_log,
                           partial=part is not None, fast=fast)  # fmt: skip
    source = LocalFolder(target)
    with context.progress("verifying") as advance:
        examination = examine(
            source,
            made,
            now=now(),
            expected=datasets,
            use_log=not no_log,
            digests="all" if digests == "all" else "tree",
            part=part,
            fast=_memory(workspace if context.workspace_named else None) if fast else None,
            seen=pins or seen,
            jobs=context.jobs,
            progress=advance,
        )
    said = pinning.tell(pins, examination) if pins else ""
    context.emit(
        present.examination(examination, verbose=context.verbose, prefix=said),
        lambda: present.examination_json("verify", examination, made) | ({"first_use": bool(said)} if pins else {}),
    )
    return present.code_of(examination.verdict.result)


def _memory(workspace: Workspace | None) -> Memory:
    """Only a workspace that the command line names: one that lies around here may have come with the data."""
    from dataseal.ledger.hashing.remember import of_user

    return workspace.memory if workspace else of_user()


def _part(only: tuple[str, ...], sample: str | None, digests: str, *, fast: bool) -> Part | None:
    from dataseal.ledger.errors import UsageError
    from dataseal.verifiers.partial import Part, share

    if not only and sample is None:
        return None
    if fast:
        raise UsageError("--fast goes with a whole verification", hint="leave --only and --sample out, or --fast")
    if sample is not None and digests == "all":
        raise UsageError("--sample reads some chunks, and --digests all needs whole files", hint="give one of them")
    return Part(only, share(sample) if sample is not None else None)


def _oms(context: Context, target: Path, bundle: Path, trust: Trust, threshold: int) -> int:
    from dataseal.cli import present, present_oms
    from dataseal.verifiers import oms

    for path in (target, bundle):
        if not path.exists():
            raise UsageError(
                f"no such file: {path}", hint="give the signature after --oms, and what it signs as TARGET"
            )
    if not bundle.is_file():
        raise UsageError(f"not a file: {bundle}", hint="give the OMS signature, such as model.sig")
    with context.progress("verifying") as advance:
        found = oms.check(target, bundle, trust, now=now(), threshold=threshold, jobs=context.jobs, progress=advance)
    context.emit(present_oms.human(found, verbose=context.verbose), lambda: present_oms.to_json(found))
    return present.code_of(found.result)

"""``dataseal verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.context import Context, common, now
from dataseal.cli.trusting import make_policy, trust_file, trusting
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.trust import Trust
    from dataseal.verifiers.first_use import FirstUse


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
    oms: Path | None,
    first_use: bool,
) -> int:
    """Verify that TARGET is, byte for byte, what a trusted publisher signed and a trusted log holds.

    Needs no network, no ledger and no workspace: everything that proves the dataset lies in its .dataseal/ folder.
    """
    from dataseal.cli import first_use as pinning
    from dataseal.cli import present
    from dataseal.verifiers.examine import examine
    from dataseal.verifiers.seen import memory
    from dataseal.verifiers.sources.local import LocalFolder

    if oms is not None:
        if policy or logs or datasets or first_use:
            raise UsageError(
                "--oms goes without --policy, --log, --dataset and --trust-on-first-use",
                hint="an OMS signature names no dataset and stands in no log: say who signed, with --publisher",
            )
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
        pinning.demand_alone(policy=policy, trust=trust_file(), threshold=threshold, no_log=no_log)
        made, pins = pinning.prepare(publishers, logs, datasets, seen=seen, digests=digests, now=now())
    else:
        made = make_policy(policy, publishers, logs, datasets, threshold=threshold, digests=digests, no_log=no_log)
    source = LocalFolder(target)
    with context.progress("verifying") as advance:
        examination = examine(
            source,
            made,
            now=now(),
            expected=datasets,
            use_log=not no_log,
            digests="all" if digests == "all" else "tree",
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

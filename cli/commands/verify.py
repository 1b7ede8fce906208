"""``dataseal verify``."""

from __future__ import annotations

from pathlib import Path

import click

from dataseal.cli.context import Context, common, make_policy, now, trusting


@click.command("verify")
@click.argument("target", type=click.Path(path_type=Path))
@trusting
@click.option(
    "--threshold", type=click.IntRange(min=1), metavar="K", help="How many distinct publishers must have signed."
)
@click.option("--no-log", is_flag=True, help="Do not check the ledger's proof.")
@click.option("--digests", type=click.Choice(["tree", "all"]), default="tree",
              help="`all` checks the whole-file SHA-256 digests too.")  # fmt: skip
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
) -> int:
    """Verify that TARGET is, byte for byte, what a trusted publisher signed and a trusted log holds.

    Needs no network, no ledger and no workspace: everything that proves the dataset lies in its .dataseal/ folder.
    """
    from dataseal.cli import present
    from dataseal.verifiers.examine import examine
    from dataseal.verifiers.seen import memory
    from dataseal.verifiers.sources.local import LocalFolder

    made = make_policy(policy, publishers, logs, datasets, threshold=threshold, digests=digests, no_log=no_log)
    source = LocalFolder(target)
    workspace = context.find_workspace(target)
    with context.progress("verifying") as advance:
        examination = examine(
            source,
            made,
            now=now(),
            expected=datasets,
            use_log=not no_log,
            digests="all" if digests == "all" else "tree",
            seen=memory(workspace.folder if workspace else None, named=context.workspace_named),
            jobs=context.jobs,
            progress=advance,
        )
    context.emit(
        present.examination(examination, verbose=context.verbose),
        lambda: present.examination_json("verify", examination, made),
    )
    return present.code_of(examination.verdict.result)

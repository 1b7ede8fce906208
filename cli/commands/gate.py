"""``dataseal gate``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common, now
from dataseal.cli.passphrase import unlocking
from dataseal.cli.trusting import make_policy, trusting
from dataseal.ledger.errors import DatasealError, UsageError

CHILD = "dataseal.gate.child"

if TYPE_CHECKING:
    from dataseal.ledger.record import Recorded
    from dataseal.ledger.workspace import Workspace
    from dataseal.verifiers.gate import Book
    from dataseal.verifiers.holds.base import Hold, Target
    from dataseal.verifiers.policy import Policy


class GateCommand(click.Command):
    """Takes the command after ``--`` off before click parses the rest."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps the command's words for `command` in the context's ``meta``."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[CHILD] = args[:at], args[at + 1 :]
            if not ctx.meta[CHILD]:
                raise click.UsageError("there is no command after --", ctx)
        return super().parse_args(ctx, args)


@click.command("gate", cls=GateCommand)
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TARGET... [-- CMD...]")
@trusting
@click.option(
    "--hold",
    type=click.Choice(["none", "recheck", "snapshot", "handle"]),
    default="recheck",
    show_default=True,
    help="`recheck` looks at the data again when CMD has ended: it detects, and does not prevent. `snapshot` gives CMD "
    "a private copy, verified while it is made. `handle` gives CMD dataseal://, whose reader checks what it hands out.",
)
@click.option(
    "--snapshot-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where snapshots are made; on the data's own disk they may cost no space. Default: the temporary folder.",
)
@click.option("--dry-run", is_flag=True, help="Judge and say so; start nothing, write no receipt.")
@click.option("--no-ledger", is_flag=True, help="Write no receipts.")
@click.option("--key", metavar="URI", help="The key that signs the receipts; default: the workspace's gate key.")
@unlocking
@common
@click.pass_context
def command(
    ctx: click.Context,
    context: Context,
    targets: tuple[Path, ...],
    policy: str | None,
    publishers: tuple[str, ...],
    logs: tuple[str, ...],
    datasets: tuple[str, ...],
    hold: Any,
    snapshot_dir: Path | None,
    dry_run: bool,
    no_ledger: bool,
    key: str | None,
) -> int:
    """Start CMD only if every TARGET passes the policy; sign a receipt before it starts and when it ends.

    \b
      dataseal gate data/ --policy dataseal:pretraining --publisher keys/publisher.pub --log keys/log.vkey \\
          --dataset acme/reviews -- python train.py

    CMD gets DATASEAL_DATA (the first target's folder, or dataseal://) and the exit code is its own; 121, 122 or 123
    mean that it was not started (blocked, invalid, indeterminate), 120 that the data changed while it ran.
    """
    from dataseal.verifiers.holds.base import held
    from dataseal.verifiers.policy import require_bound

    child: list[str] = ctx.meta.get(CHILD, [])
    if not policy:
        raise UsageError(
            "a gate needs a policy", hint="give --policy FILE, or a shipped one: --policy dataseal:pretraining"
        )
    made = make_policy(policy, publishers, logs, datasets)
    require_bound(made)
    workspace = context.find_workspace(*targets)
    book = None if no_ledger or dry_run else _book(context, workspace, key)
    with held(hold, snapshot_dir=snapshot_dir, targets=targets) as holding:
        examined = _examine(context, targets, made, datasets, workspace, holding)
        return _decide(context, examined, made, book, child, hold=holding, dry_run=dry_run)


def _book(context: Context, workspace: Workspace | None, key: str | None) -> Book:
    from dataseal.cli.signing import open_key
    from dataseal.ledger.signers import uri as uris
    from dataseal.verifiers.gate import Book

    if workspace is None:
        raise UsageError(
            "no workspace to log receipts in: no dataseal.toml in this folder or above it",
            hint="run `dataseal init`, name one with --workspace DIR, or say --no-ledger",
        )
    secrets = workspace.secrets() | frozenset(uris.secrets_of(key) if key else ())
    return Book(open_key(context, workspace, key, "gate"), context.open_log(workspace, sign=True), secrets)


def _examine(
    context: Context,
    targets: tuple[Path, ...],
    policy: Policy,
    datasets: tuple[str, ...],
    workspace: Workspace | None,
    hold: Hold,
) -> list[Target]:
    from dataseal.verifiers.examine import examine
    from dataseal.verifiers.holds.base import Target
    from dataseal.verifiers.seen import memory

    found = []
    for source in [hold.source(path) for path in targets]:
        stats = hold.stats(source)
        what = f"verifying {source.name}"
        with context.progress(what) as hashed, context.progress("screening", unit="rows") as rows:
            examination = examine(
                source, policy, now=now(), expected=datasets, jobs=context.jobs, progress=hashed, rows=rows,
                seen=memory(workspace.folder if workspace else None, named=context.workspace_named),
            )  # fmt: skip
        found.append(Target(source, examination, stats))
    return found


def _decide(
    context: Context,
    targets: list[Target],
    policy: Policy,
    book: Book | None,
    child: list[str],
    *,
    hold: Hold,
    dry_run: bool,
) -> int:
    from dataseal.cli import gated, present
    from dataseal.cli.codes import WRAPPED
    from dataseal.verifiers import gate

    examined = [t.examination for t in targets]
    opens = all(e.verdict.opens for e in examined)

    def tell(written: list[Recorded]) -> None:
        text = present.gated(examined, [gated.entry(r) for r in written], verbose=context.verbose)
        context.emit(text, lambda: gated.document(examined, policy, written), err=bool(child))

    if child and opens and not dry_run:
        ended = gate.run(
            targets, policy, book, command=child, hold=hold, clock=now, environment=os.environ, on_start=tell
        )  # fmt: skip
        with suppress(OSError):  # the command has run: whether we can still speak does not change its code
            gated.say_end(context, ended)
        return ended.code
    written: list[Recorded] = []
    try:
        if not dry_run:
            written = gate.write_receipts(
                targets, policy, book, command=child, hold=hold.name, phase="start", run=gate.new_run(),
                now=now(), extra=lambda _: {"opened": opens},
            )  # fmt: skip
    except DatasealError:
        if not opens:
            tell([])
        raise
    tell(written)
    code = present.code_of(present.overall(examined))
    return code + WRAPPED if child and code else code

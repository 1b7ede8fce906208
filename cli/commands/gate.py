"""``dataseal gate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common, make_policy, now, trusting
from dataseal.ledger.errors import UsageError

CHILD = "dataseal.gate.child"

if TYPE_CHECKING:
    from dataseal.ledger.workspace import Workspace
    from dataseal.verifiers.gate import Book, Ended, Target
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
    type=click.Choice(["none", "recheck"]),
    default="recheck",
    show_default=True,
    help="`recheck` looks at the data again when the command has ended: it detects, and does not prevent.",
)
@click.option("--dry-run", is_flag=True, help="Judge and say so; start nothing, write no receipt.")
@click.option("--no-ledger", is_flag=True, help="Write no receipts.")  # fmt: skip
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
    hold: str,
    dry_run: bool,
    no_ledger: bool,
) -> int:
    """Start CMD only if every TARGET passes the policy; sign a receipt before it starts and when it ends.

    \b
      dataseal gate data/ --policy dataseal:pretraining --publisher keys/publisher.pub --log keys/log.vkey \\
          --dataset acme/reviews -- python train.py

    CMD gets DATASEAL_DATA (the first target's folder) and the exit code is its own; 121, 122 or 123 mean that it was
    not started (blocked, invalid, indeterminate), 120 that the data changed while it ran.
    """
    from dataseal.verifiers.policy import require_bound

    child: list[str] = ctx.meta.get(CHILD, [])
    if not policy:
        raise UsageError(
            "a gate needs a policy", hint="give --policy FILE, or a shipped one: --policy dataseal:pretraining"
        )
    made = make_policy(policy, publishers, logs, datasets)
    require_bound(made)
    workspace = None if no_ledger or dry_run else _workspace(context, targets)
    book = _book(context, workspace) if workspace else None
    examined = _examine(context, targets, made, datasets)
    return _decide(context, examined, made, book, child, hold=hold, dry_run=dry_run)


def _workspace(context: Context, targets: tuple[Path, ...]) -> Workspace:
    found = context.find_workspace(*targets)
    if found is None:
        raise UsageError(
            "no workspace to log receipts in: no dataseal.toml in this folder or above it",
            hint="run `dataseal init`, name one with --workspace DIR, or say --no-ledger",
        )
    return found


def _book(context: Context, workspace: Workspace) -> Book:
    from dataseal.verifiers.gate import Book

    return Book(workspace.signer("gate", context.passphrase), workspace.log(context.passphrase))


def _examine(context: Context, targets: tuple[Path, ...], policy: Policy, datasets: tuple[str, ...]) -> list[Target]:
    from dataseal.verifiers.examine import examine
    from dataseal.verifiers.gate import Target, snapshot
    from dataseal.verifiers.seen import Seen, default_path
    from dataseal.verifiers.sources.local import LocalFolder

    workspace = context.find_workspace(*targets)
    found = []
    for path in targets:
        source = LocalFolder(path)
        stats = snapshot(source)
        with context.progress(f"verifying {path}") as hashed, context.progress("screening", unit="rows") as rows:
            examination = examine(
                source, policy, now=now(), expected=datasets, jobs=context.jobs, progress=hashed, rows=rows,
                seen=Seen(default_path(workspace.folder if workspace else None)),
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
    hold: Any,
    dry_run: bool,
) -> int:
    from dataseal.cli import present
    from dataseal.cli.codes import BLOCKED, PASSED, WRAPPED
    from dataseal.verifiers import gate

    human = "\n".join(present.examination(t.examination, policy, verbose=context.verbose) for t in targets)
    context.emit(human, lambda: _json(targets, policy), err=bool(child))
    closed = [t for t in targets if not t.examination.verdict.opens]
    if dry_run or closed or not child:
        if not dry_run:
            written = gate.write_receipts(targets, policy, book, command=child, hold=hold, phase="start", now=now())
            _say_receipts(context, written)
        codes = {present.exit_code(t.examination.verdict) for t in closed}
        code = BLOCKED if BLOCKED in codes else max(codes, default=PASSED)
        return code + WRAPPED if child and code else code
    ended = gate.run(
        targets, policy, book, command=child, hold=hold, clock=now, environment=os.environ,
        on_start=lambda written: _say_receipts(context, written),
    )  # fmt: skip
    _say_end(context, ended)
    return ended.code


def _say_receipts(context: Context, written: Any) -> None:
    for item in written:
        context.say(f"receipt     entry {item.logged.index} of {item.logged.checked.checkpoint.origin}")


def _say_end(context: Context, ended: Ended) -> None:
    from dataseal.cli.present import findings_text

    if ended.changes:
        context.say(findings_text(ended.changes))
        context.say("BLOCKED the data changed while the command ran: its result is tainted, and the receipt says so")
    if ended.code in (126, 127):
        context.say(f"dataseal: the command is {'not executable' if ended.code == 126 else 'not found'}")
    _say_receipts(context, ended.receipts[len(ended.receipts) // 2 :])


def _json(targets: list[Target], policy: Policy) -> dict[str, Any]:
    from dataseal.cli.present import examination_json

    return {"command": "gate", "targets": [examination_json("gate", t.examination, policy) for t in targets]}

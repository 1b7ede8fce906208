"""The command line's frame: lazy commands, and the one map from verdicts and errors to exit codes.

Exit: 0 passed · 1 blocked · 2 usage, configuration or policy invalid · 3 indeterminate. Around a wrapped command,
before it starts, 121, 122 and 123 for the same three. No traceback reaches a user: what dataseal did not expect is
exit 3.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from dataseal.cli.codes import BLOCKED, INDETERMINATE, INVALID, PASSED, WRAPPED
from dataseal.cli.lazy import LazyGroup
from dataseal.ledger.errors import DatasealError, Unavailable, UsageError, VerificationError

COMMANDS: Final = (
    "init",
    "sign",
    "record",
    "cosign",
    "attest",
    "evidence",
    "verify",
    "screen",
    "gate",
    "log",
    "ledger",
    "key",
    "trust",
)
"""In the order of a first use; the module `dataseal.cli.commands.<name>` holds a command of that name."""


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"dataseal {version('dataseal')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    modules={name: name for name in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Signed datasets and an append-only provenance ledger for machine-learning training data.
    Publishers `sign` releases and `record` modifications; consumers `verify` and `screen` what they got; platform
    teams put `gate` in front of training runs.

    \b
    Exit: 0 passed, 1 blocked, 2 usage or policy invalid, 3 indeterminate;
    121, 122, 123 for the same three before a gated command starts.
    """


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The `dataseal` command."""
    # A dataset is hundreds of thousands of small objects without a cycle: looking through them all for cycles, again
    # and again as they are made, takes a tenth of a verification.
    gc.set_threshold(200_000, 20, 100)
    args = list(sys.argv[1:] if argv is None else argv)
    code = _run(args)
    if not _flushed(sys.stdout):
        # The reader went away (a closed pipe), or the disk is full: results that were not written are no results.
        code = code or INDETERMINATE
    _flushed(sys.stderr)
    sys.exit(code)


def _flushed(stream: Any) -> bool:
    """Writes what a stream still holds; if that fails drops it, so that the interpreter's own exit code stays away."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _run(args: list[str]) -> int:
    ours = WRAPPED if _wraps(args) else 0
    try:
        return _call(args, ours)
    except OSError:
        return ours + INDETERMINATE  # what went wrong could not even be told: stderr is closed or full


def _call(args: list[str], ours: int) -> int:
    try:
        result = cli.main(args, prog_name="dataseal", standalone_mode=False)
        return result if isinstance(result, int) else PASSED
    except click.exceptions.Exit as error:
        return error.exit_code
    except SystemExit:
        return ours + INDETERMINATE  # click's answer to a closed pipe would be 1, and 1 means blocked
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        for line in shown.getvalue().splitlines():
            click.echo(_safe(line), err=True)
        return ours + INVALID
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: nothing was left half-written", err=True)
        return 130
    except DatasealError as error:
        return ours + tell(error)
    except OSError as error:
        return ours + tell(_of_system(error))
    except Exception as error:
        if os.environ.get("DATASEAL_DEBUG"):
            raise
        text = str(error).replace("\n", " ")[:300]
        click.echo(
            f"dataseal: internal error, {type(error).__name__}: {_safe(text)}\n"
            "  next: this is a defect of dataseal; set DATASEAL_DEBUG=1 to see where, and report it",
            err=True,
        )
        return ours + INDETERMINATE


def tell(error: DatasealError) -> int:
    """Prints what, where and what next; returns the exit code of the error's class."""
    click.echo(f"dataseal: {_safe(error.what)}", err=True)
    for line in (error.detail or "").splitlines():
        click.echo(f"  {_safe(line)}", err=True)
    if error.where:
        click.echo(f"  where: {_safe(error.where)}", err=True)
    if error.hint:
        click.echo(f"  next: {_safe(error.hint)}", err=True)
    return exit_code(error)


def exit_code(error: DatasealError) -> int:
    """The exit code of an error's class."""
    if isinstance(error, UsageError):
        return INVALID
    if isinstance(error, VerificationError):
        return BLOCKED
    return INDETERMINATE


def _of_system(error: OSError) -> DatasealError:
    where = str(error.filename) if error.filename else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Unavailable("the disk is full", where=where, hint="free some space and run the command again")
    return Unavailable(
        f"the system refused: {error.strerror or error}",
        where=where,
        hint="check that the path is there and may be used, and run the command again",
    )


def _wraps(args: Sequence[str]) -> bool:
    """Whether these arguments put us around somebody's command."""
    return "--" in args and next((a for a in args if not a.startswith("-")), None) == "gate"


def _safe(text: str) -> str:
    from dataseal.cli.render import safe

    return safe(text)

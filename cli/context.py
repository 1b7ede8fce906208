"""The composition root: options that every command takes, and what they make.

Options that say whom to trust are `dataseal.cli.trusting`'s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.log import Log
    from dataseal.ledger.remote.log import RemoteLog
    from dataseal.ledger.workspace import Workspace

FORMATS = ("human", "json")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Context:
    """What the common options say, and what is made of them.

    ``workspace_named`` tells a workspace of the command line from one that the environment names.
    """

    workspace_dir: Path | None = None
    workspace_named: bool = False
    ledger: str | None = None
    format: str = "human"
    outputs: tuple[tuple[str, Path], ...] = ()
    quiet: bool = False
    verbose: bool = False
    offline: bool = False
    jobs: int | None = None
    _noted: set[str] = field(default_factory=set)

    def say(self, text: str) -> None:
        """Something on the way, to stderr; the caller made it safe."""
        if not self.quiet:
            click.echo(text, err=True)

    def find_workspace(self, *targets: Path) -> Workspace | None:
        """The named workspace, or the one upward from here that lies in no target; None when there is none.

        Raises:
            UsageError: the named one lies inside a target.
        """
        found, ignored = self._find(targets)
        for path in ignored:
            self.note(f"{path} lies inside the target and was ignored: whoever made the target wrote it")
        return found

    def workspace(self, *targets: Path) -> Workspace:
        """Like `find_workspace`, and one is needed.

        Raises:
            UsageError: there is none.
        """
        found, ignored = self._find(targets)
        if found is None and ignored:
            raise UsageError(
                "the workspace lies inside the dataset's folder: its keys and ledger would travel with the data",
                where=str(ignored[0]),
                hint="keep the workspace outside, and name it with --workspace DIR",
            )
        if found is None:
            raise UsageError(
                "no workspace here: no dataseal.toml in this folder or above it",
                hint="run `dataseal init`, or name one with --workspace DIR",
            )
        return found

    def _find(self, targets: Sequence[Path]) -> tuple[Workspace | None, list[Path]]:
        from dataseal.ledger import workspace as workspaces

        if self.workspace_dir is None:
            found, ignored = workspaces.find(Path.cwd(), targets)
        else:
            inside = next((t for t in targets if self.workspace_dir.resolve().is_relative_to(t.resolve())), None)
            if inside is not None:
                raise UsageError(
                    f"the workspace lies inside {inside}: configuration is never read from a target",
                    where=str(self.workspace_dir),
                    hint="keep the workspace outside the dataset's folder",
                )
            found = workspaces.load(self.workspace_dir)
            ignored = [t / workspaces.CONFIG for t in targets if (t / workspaces.CONFIG).is_file()]
        if found is not None and self.ledger is not None:
            from dataseal.ledger.remote.open import with_ledger

            found = with_ledger(found, self.ledger)
        return found, ignored

    def open_log(self, workspace: Workspace, *, sign: bool = False) -> Log | RemoteLog:
        """The workspace's ledger, a file or a server; a file is for reading only unless ``sign``."""
        from dataseal.cli.journal import tell
        from dataseal.ledger.remote.log import RemoteLog
        from dataseal.ledger.remote.open import open_log

        tell(self.note)
        log = open_log(workspace, self.passphrase if sign else None, offline=self.offline)
        if isinstance(log, RemoteLog):
            click.get_current_context().call_on_close(log.close)
        return log

    def note(self, text: str) -> None:
        """Something worth knowing, to stderr, once, also under ``-q``; untrusted text in it is escaped."""
        from dataseal.cli.render import safe

        if text not in self._noted:
            self._noted.add(text)
            click.echo(f"note: {safe(text)}", err=True)

    def passphrase(self, name: str) -> bytes | None:
        """The passphrase of an encrypted key; None when none was given and nobody can be asked."""
        from dataseal.cli.passphrase import passphrase_of

        return passphrase_of(name)

    def warn_readable(self, path: Path) -> None:
        """Warns once about a private key that others may read."""
        from dataseal.ledger.signers.keyfile import readable_by_others

        if path.exists() and readable_by_others(path):
            self.note(f"{path} can be read by others; run: chmod 600 {path}")

    @contextmanager
    def progress(self, what: str, unit: str = "bytes") -> Iterator[Callable[[int], None]]:
        """A progress line on stderr, on a terminal only: done, of how much, rate, time left."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _: None
            return
        from dataseal.cli.meter import bar

        with bar(what, unit) as advance:
            yield advance

    def emit(self, human: str, document: Callable[[], dict[str, Any]], *, err: bool = False) -> None:
        """Writes the result in the chosen format, and to every ``-o``.

        Args:
            err: the result goes to stderr, because stdout belongs to a gated command.
        """
        from dataseal.cli.render import dumps

        texts: dict[str, Callable[[], str]] = {"human": lambda: human, "json": lambda: dumps(document())}
        for name, path in self.outputs:
            _write_whole(path, click.unstyle(texts[name]()) + "\n")
        click.echo(texts[self.format](), err=err)


def _write_whole(path: Path, text: str) -> None:
    """A report is there as a whole or not at all; what is no plain file (a pipe, a terminal) is written to as it is."""
    import tempfile

    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    stream = tempfile.NamedTemporaryFile(  # noqa: SIM115  it must outlive its block to be renamed
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name[:100]}.", delete=False
    )
    try:
        with stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(stream.name, 0o666 & ~mask)
        os.replace(stream.name, path)
    except BaseException:
        Path(stream.name).unlink(missing_ok=True)
        raise


def now() -> datetime:
    """The one clock reading of a command, in UTC."""
    return datetime.now(UTC)


def _outputs(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    pairs = []
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or name not in FORMATS or not path:
            raise click.BadParameter(f"{value!r}; give FORMAT=PATH, where FORMAT is one of {', '.join(FORMATS)}")
        if not Path(path).parent.is_dir() or Path(path).is_dir():
            raise click.BadParameter(f"{value!r}; {path} is a folder, or lies in one that is not there")
        pairs.append((name, Path(path)))
    return tuple(pairs)


_COMMON = (
    click.option("--workspace", "workspace_dir", type=click.Path(path_type=Path), envvar="DATASEAL_WORKSPACE",
                 metavar="DIR", help="The workspace; default: upward from here."),
    click.option("--ledger", envvar="DATASEAL_LEDGER", metavar="URL",
                 help="Another ledger than the workspace's: a file, a server's https:// address, or the folder or "
                      "bucket where the log is published, which is written to."),
    click.option("--format", type=click.Choice(FORMATS), default="human", envvar="DATASEAL_FORMAT",
                 help="How the result is printed."),
    click.option("-o", "outputs", multiple=True, callback=_outputs, metavar="FORMAT=PATH",
                 help="Write the result to a file too; repeatable."),
    click.option("-q", "--quiet", is_flag=True, envvar="DATASEAL_QUIET", help="Say nothing on the way."),
    click.option("-v", "--verbose", is_flag=True, envvar="DATASEAL_VERBOSE", help="Say more."),
    click.option("--offline", is_flag=True, envvar="DATASEAL_OFFLINE",
                 help="Never use the network: a ledger server, a published log or a witness is an error then."),
    click.option("-j", "--jobs", type=click.IntRange(1, 256), envvar="DATASEAL_JOBS", metavar="N",
                 help="Threads; default: one a processor."),
)  # fmt: skip


def common(function: F) -> F:
    """Adds the common options to a command and hands it a `Context` as its first argument."""

    @wraps(function)
    def call(**options: Any) -> Any:
        names = ("workspace_dir", "ledger", "format", "outputs", "quiet", "verbose", "offline", "jobs")
        source = click.get_current_context().get_parameter_source("workspace_dir")
        named = source is click.core.ParameterSource.COMMANDLINE
        context = Context(workspace_named=named, **{name: options.pop(name) for name in names})
        return function(context, **options)

    wrapped: Any = call
    for option in reversed(_COMMON):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]

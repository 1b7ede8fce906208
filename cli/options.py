"""Options that publishers' commands share, and what they parse to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataseal.ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from dataseal.ledger.manifest import Parameters, Shard

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"": 1, "k": 1024, "m": 1024**2}

_TREE = (
    click.option("--exclude", "exclusions", multiple=True, metavar="GLOB",
                 help="Leave files out; recorded in the statement and shown by every verification."),
    click.option("--chunk-size", metavar="N",
                 help="Bytes a chunk: a power of two, 64k to 64m. Default 4m, or the dataset's."),
    click.option("--chunk-hash", type=click.Choice(["sha256", "blake3"]), help="Default sha256, or the dataset's."),
    click.option("--fast", is_flag=True,
                 help="Do not read files whose device, inode, size and times are those that were signed last."),
)  # fmt: skip


def hashed(function: F) -> F:
    """Adds the options of commands that hash a tree to sign it."""
    wrapped: Any = function
    for option in reversed(_TREE):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def parameters(chunk_size: str | None, chunk_hash: str | None) -> Parameters | None:
    """The tree parameters that were asked for; None when none was.

    Raises:
        UsageError: no chunk size.
    """
    from dataseal.ledger.manifest import DEFAULT_CHUNK, Parameters

    if chunk_size is None and chunk_hash is None:
        return None
    size = DEFAULT_CHUNK
    if chunk_size is not None:
        text = chunk_size.lower().removesuffix("ib").removesuffix("b")
        digits, unit = (text[:-1], text[-1:]) if text[-1:] in ("k", "m") else (text, "")
        if not digits.isdigit() or len(digits) > 12:
            raise UsageError(f"--chunk-size {chunk_size!r} is no number of bytes", hint="such as 65536, 64k or 4m")
        size = int(digits) * _UNITS[unit]
    try:
        return Parameters(size, chunk_hash or "sha256")
    except FormatError as error:
        raise UsageError(error.what, hint="such as --chunk-size 64k, 4m or 64m") from None


def supplied(
    path: Path, asked: Parameters | None, folder: Path, *, fast: bool
) -> tuple[list[Shard], Parameters | None]:
    """The shards of ``--from-digests``, and the tree's parameters.

    Raises:
        UsageError: no such list, other parameters than the options say, or no folder to write the seal to.
    """
    from dataseal.ledger.supplied import read

    if fast:
        raise UsageError("--fast and --from-digests exclude each other", hint="--from-digests reads no file anyway")
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", hint="give the folder that .dataseal/ is to be written to")
    shards, said = read(path)
    if said and asked and said != asked:
        raise UsageError(
            f"the digests are of {said.chunk_hash} chunks of {said.chunk_size:,} bytes, and the options say "
            f"{asked.chunk_hash} and {asked.chunk_size:,}",
            where=str(path),
            hint="leave --chunk-size and --chunk-hash out",
        )
    return shards, said or asked


@contextmanager
def typed() -> Iterator[None]:
    """Around checks of what the user typed: a name that breaks a format's rule is misuse, not evidence that fails."""
    try:
        yield
    except FormatError as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """``k=v`` options as a mapping.

    Raises:
        UsageError: no ``=``, an empty side, or a key given twice.
    """
    found: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals or not key or not rest:
            raise UsageError(f"{option} {value!r} is not KEY=VALUE", hint=f"such as {option} license=MIT")
        if key in found:
            raise UsageError(f"{option} gives {key!r} twice", hint="say it once")
        found[key] = rest
    return found

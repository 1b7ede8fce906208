"""fsspec's face of verified reading: the protocol ``dataseal``.

::

    dataseal://data/train.parquet::hf://datasets/acme/reviews      a shard of the dataset at that place
    dataseal::/srv/reviews/data/train.parquet                      the same, with the place's own path: the seal is
                                                                   looked for from there upward
    dataseal://data/train.parquet                                  of what `dataseal gate --hold handle` handed over

Options (keywords of the file system; ``storage_options=`` of pandas, polars and datasets):

``policy``; or ``publisher`` and ``log``
    whom to trust, as on the command line. ``dataset`` (``NAME`` or ``NAME@VERSION``) is needed unless the policy names
    it.
``root`` with ``table``, ``chunk_size``, ``chunk_hash``
    the content that must be there, instead (`dataseal.verifiers.reader.pin`).
``cache_bytes``
    the bound of kept chunks. ``reads``: a folder in which every process reports what it reads
    (`dataseal.verifiers.reader.report`).

Nothing of this is read from the environment, except the handle where no option is given; options in fsspec's own
configuration are refused. A pickled file system takes the verified content along as a pin: a worker process reads the
same release, or nothing.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from typing import Any, NoReturn

from fsspec.implementations.chained import ChainedFileSystem  # type: ignore[import-untyped]

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import DEFAULT_CHUNK
from dataseal.verifiers.reader.chunks import CACHE_BYTES
from dataseal.verifiers.reader.opened import Opened, Place, open_pinned, open_verified
from dataseal.verifiers.reader.pin import Pin
from dataseal.verifiers.reader.stream import VerifiedFile
from dataseal.verifiers.reader.trust import Many, many, policy_of

PROTOCOL = "dataseal"


def open_place(
    place: Place | None,
    *,
    policy: Any = None,
    publisher: Many = None,
    log: Many = None,
    dataset: Many = None,
    root: str | None = None,
    table: str | None = None,
    chunk_size: int = DEFAULT_CHUNK,
    chunk_hash: str = "sha256",
    cache_bytes: int = CACHE_BYTES,
    reads: str | os.PathLike[str] | None = None,
) -> Opened:
    """Opens what the options mean; see the module.

    Raises:
        UsageError: options that trust nobody, or contradict each other. NotOpened, Unavailable: it did not pass.
        IntegrityError: not the pinned content.
    """
    for name, value in (("chunk_size", chunk_size), ("cache_bytes", cache_bytes)):
        if type(value) is not int or value < 0:
            raise UsageError(f"{name} is a number of bytes, not {value!r}")
    told = None if reads is None else os.fspath(reads)
    if told is not None and not os.path.isdir(told):
        raise UsageError("no such folder for reports of what is read", where=told, hint="make it first")
    trusting = policy is not None or bool(many(publisher) or many(log))
    if root is None and table is None and not trusting:
        from dataseal.verifiers.reader.handle import from_environment

        if place is not None:
            policy_of(None, publisher, log, dataset)  # raises, and says what is missing
        return from_environment(dataset=many(dataset), cache_bytes=cache_bytes, reads=told)
    if place is None:
        raise UsageError(
            "no place is named where the dataset is",
            hint="chain it: dataseal://PATH::/folder, dataseal::hf://datasets/ORG/NAME",
        )
    if root is None and table is None:
        made = policy_of(policy, publisher, log, dataset)
        return open_verified(place, made, expected=many(dataset), cache_bytes=cache_bytes, reads=told)
    if trusting or dataset is not None:
        raise UsageError("a pinned content needs no trust and no name", hint="give root= and table=, or policy=")
    if root is None or table is None:
        raise UsageError(
            "a pin needs root= and table= both: the table is not parsed before its own digest is known",
            hint="`dataseal verify --format json` prints both",
        )
    try:
        pin = Pin(root, table, chunk_size, chunk_hash)
    except FormatError as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None
    return open_pinned(place, pin, cache_bytes=cache_bytes, reads=told)


class _Judged(type(ChainedFileSystem)):  # type: ignore[misc]
    """fsspec keeps instances by their options. A policy's file may say something else by now, or have expired: only
    what is pinned stays the same."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if options.get("root") is None or options.get("table") is None:
            options["skip_instance_cache"] = True
        return super().__call__(*args, **options)


class VerifiedFileSystem(ChainedFileSystem, metaclass=_Judged):  # type: ignore[misc]
    """A signed dataset, read-only; paths are relative to its top. See the module for the options.

    Args:
        fo, target_protocol, target_options: the place, as fsspec's URL chains give it.
        opened: a dataset that is open already; nothing else is looked at then.
    """

    protocol = PROTOCOL
    root_marker = ""
    cachable = True

    def __init__(
        self,
        fo: str | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        opened: Opened | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        from fsspec import available_protocols  # type: ignore[import-untyped]
        from fsspec.config import conf  # type: ignore[import-untyped]

        if conf.get(PROTOCOL):  # it comes from the environment and from files that nobody named
            raise UsageError(
                f"fsspec's configuration has options of {PROTOCOL}: {', '.join(sorted(conf[PROTOCOL]))}",
                hint="remove FSSPEC_DATASEAL… from the environment and `dataseal` from fsspec's configuration files: "
                "whom to trust is said where the dataset is opened",
            )
        known = {
            "policy",
            "publisher",
            "log",
            "dataset",
            "root",
            "table",
            "chunk_size",
            "chunk_hash",
            "cache_bytes",
            "reads",
        }
        # Callers hand over what they have for other protocols too: a mapping named like one is theirs.
        others = {k for k, v in options.items() if isinstance(v, dict) and k in available_protocols()}
        unknown = options.keys() - known - others - {"use_listings_cache", "listings_expiry_time", "max_paths"}
        if unknown:
            raise UsageError(
                f"unknown options of a dataseal file system: {', '.join(sorted(unknown))}",
                hint=f"known: {', '.join(sorted(known))}",
            )
        place = Place(target_protocol or "file", fo, target_options) if fo else None
        self.opened = opened or open_place(place, **{k: v for k, v in options.items() if k in known})
        self._top = self.opened.place.path.rstrip("/")

    def __reduce__(self) -> tuple[Any, ...]:
        return _of, (self.opened,)

    def to_json(self, *, include_password: bool = True) -> NoReturn:
        """Refused: what is written would be trusted by whoever reads it."""
        raise NotImplementedError("a verified file system is pickled, or opened again with its options")

    def to_dict(self, *, include_password: bool = True) -> NoReturn:
        """Refused, as `to_json`."""
        self.to_json(include_password=include_password)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(item) for item in path]
        text = os.fspath(path)
        return text.removeprefix(f"{PROTOCOL}::").removeprefix(f"{PROTOCOL}://").rstrip("/")

    def _path(self, path: Any) -> str:
        """The path below the dataset's top; a place's own path becomes one, unless it is a signed name."""
        text: str = self._strip_protocol(path)
        for mark in ("::",):  # a whole chain, as some callers hand it back
            text = text.split(mark)[0] if mark in text else text
        tree, top = self.opened.tree, self._top
        # Where a signed name is spelled like the place, the signed one is meant, and so is everything below it.
        if text not in tree.shards and not tree.has(top) and (text == top or text.startswith(f"{top}/")):
            text = text[len(top) :]
        return text.strip("/")

    # What there is: from the signed table

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size, type and signed digests of a shard, or that it is a folder."""
        return self.opened.tree.info(self._path(path))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What lies in a folder."""
        found = self.opened.tree.children(self._path(path))
        return found if detail else [item["name"] for item in found]

    def walk(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Iterator[Any]:
        """As `os.walk`."""
        return super().walk(self._path(path), maxdepth=maxdepth, **kwargs)  # type: ignore[no-any-return]

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any) -> Any:
        """Everything below a folder."""
        return super().find(self._path(path), maxdepth=maxdepth, withdirs=withdirs, **kwargs)

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """The paths that match."""
        ending = "/" if str(path).endswith("/") else ""
        return super().glob(self._path(path) + ending, maxdepth=maxdepth, **kwargs)

    def expand_path(self, path: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Paths, with globs and folders expanded."""
        paths = [self._path(p) for p in path] if isinstance(path, list) else self._path(path)
        return super().expand_path(paths, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the name was signed."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ukey(self, path: str) -> str:
        """The shard root: what callers may key their caches by."""
        return f"{self.opened.pin.chunk_hash}:{self.opened.tree.shard(self._path(path)).root.hex()}"

    def checksum(self, path: str) -> int:
        """The shard root, as a number."""
        return int.from_bytes(self.opened.tree.shard(self._path(path)).root, "big")

    # Bytes: all of them through VerifiedFile

    def _open(self, path: str, mode: str = "rb", **_: Any) -> VerifiedFile:
        if mode not in ("rb", "r"):
            self._refuse()
        return VerifiedFile(self.opened, self._path(path))

    def open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        """A shard as a file, in bytes or text.

        Raises:
            OSError: a mode that writes.
        """
        if set(mode) - set("rbt"):
            self._refuse()
        return super().open(path, mode, **kwargs)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """A byte range; negative bounds count from the end."""
        with self._open(path) as file:
            begin, stop, _step = slice(start, end).indices(file.size)
            return bytes(file.read_at(begin, max(0, stop - begin)))

    def get_file(
        self, rpath: str, lpath: Any = None, callback: Any = None, outfile: Any = None, **_kwargs: Any
    ) -> None:
        """Copies a shard to a local file, which is there as a whole or not at all."""
        where = self._path(rpath)
        if outfile is None and hasattr(lpath, "write"):
            outfile = lpath
        if outfile is None and self.isdir(where):
            os.makedirs(lpath, exist_ok=True)
            return
        with self._open(where) as file:
            if callback is not None:
                callback.set_size(file.size)
            if outfile is not None:
                _copy(file, outfile, callback)
                return
            folder = os.path.dirname(os.path.abspath(lpath))
            os.makedirs(folder, exist_ok=True)
            aside = os.path.join(folder, f".dataseal-{secrets.token_hex(8)}.part")
            with open(aside, "xb") as out:  # not of tempfile: that one's mode is not what the caller's umask says
                try:
                    _copy(file, out, callback)
                    out.close()  # what can't be written is told here
                    os.replace(aside, lpath)
                except BaseException:
                    os.unlink(aside)
                    raise

    # Writing: refused

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise io.UnsupportedOperation("a signed dataset is read-only")

    mkdir = makedirs = rmdir = pipe_file = pipe = put_file = put = cp_file = copy = mv = rm_file = _rm = rm = _refuse
    touch = write_text = write_bytes = makedir = mkdirs = cp = move = rename = delete = upload = _refuse
    start_transaction = sign = _refuse


def _copy(file: VerifiedFile, out: Any, callback: Any) -> None:
    while piece := file.read_buffer(file.blocksize):
        out.write(piece)
        if callback is not None:
            callback.relative_update(len(piece))


def _of(opened: Opened) -> VerifiedFileSystem:
    return VerifiedFileSystem(opened=opened, skip_instance_cache=True)

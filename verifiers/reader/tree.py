"""What there is: names, sizes and folders, from the signed table alone.

A name that the table does not list does not exist, whatever lies in the store.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from dataseal.ledger.manifest import Manifest, Shard


class Tree:
    """The folders and shards of a signed manifest. Paths are relative to the dataset's top, which is ``""``."""

    def __init__(self, manifest: Manifest) -> None:
        self.shards = manifest.by_path()
        self.numbers = {shard.path: number for number, shard in enumerate(manifest.shards)}
        self._folders: dict[str, dict[str, None]] = {"": {}}
        for path in self.shards:
            child = path
            while child:  # dict keys keep the table's order; each folder is entered into its parent once
                parent = posixpath.dirname(child)
                known = parent in self._folders
                self._folders.setdefault(parent, {})[child] = None
                if known:
                    break
                child = parent

    def has(self, path: str) -> bool:
        """Whether a shard or a folder with shards was signed under that name; the top has none."""
        return bool(path) and (path in self.shards or path in self._folders)

    def shard(self, path: str) -> Shard:
        """The shard at ``path``.

        Raises:
            FileNotFoundError: none was signed under that name. IsADirectoryError: it is a folder.
        """
        found = self.shards.get(path)
        if found is None:
            if path in self._folders:
                raise IsADirectoryError(f"{path or 'the top of the dataset'} is a folder of the signed table")
            raise FileNotFoundError(f"no shard {path!r} was signed")
        return found

    def info(self, path: str) -> dict[str, Any]:
        """fsspec's ``info``: name, size in bytes, type; of a shard also the signed digests.

        Raises:
            FileNotFoundError: no such name was signed.
        """
        if path in self._folders:
            return {"name": path, "size": 0, "type": "directory"}
        shard = self.shard(path)
        # `mtime` and `created` are left out: nobody signed a time.
        return {
            "name": path,
            "size": shard.size,
            "type": "file",
            "sha256": shard.sha256.hex(),
            "root": shard.root.hex(),
            "ETag": shard.root.hex(),  # what `datasets` and others key their caches by
        }

    def children(self, path: str) -> list[dict[str, Any]]:
        """What lies in a folder; a shard is its own only child.

        Raises:
            FileNotFoundError: no such name was signed.
        """
        if path in self._folders:
            return [self.info(child) for child in self._folders[path]]
        return [self.info(path)]

    def names(self) -> Iterator[str]:
        """Every shard's path, in the table's order."""
        return iter(self.shards)

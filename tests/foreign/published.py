"""A ledger of ours that grows, published by ``dataseal ledger publish`` at every size that matters."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.store.store import Store
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.workspace import Workspace
from foreign.logs import ORIGIN, SIGNER, SIZES, StaticLog, all_entries, all_leaves
from support.cli import dataseal
from support.workspaces import no_passphrase

STOPS = sorted({*SIZES, 600})
"""Each is signed and published on the way: a log that grew leaves other files than one that was written at once."""


class GrowingLog:
    """A ledger over the entries of `all_entries`.

    They are no statements, so that they go past admission into the store; all behind that is the product's own: the
    store's tiles, its heads, the signature, and the command that publishes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workspace = _workspace(folder / "workspace")
        self._done: dict[int, StaticLog] = {}

    def at(self, size: int) -> StaticLog:
        """The published log of a size of `STOPS`: a copy of its own."""
        for stop in STOPS:
            if stop <= size and stop not in self._done:
                self._grow(stop)
        return self._done[size]

    def _grow(self, size: int) -> None:
        log = self._workspace.log(no_passphrase)
        with log.store.appending() as view:
            held = view.head().size
            entries, leaves = all_entries()[held:size], all_leaves()[held:size]
            view.insert(
                [
                    StoredEntry(index, body, signer="nobody", leaf=leaf, dataset="acme/any", kind="receipt", keys=())
                    for index, (body, leaf) in enumerate(zip(entries, leaves, strict=True), held)
                ]
            )
        log.sign()
        log.store.close()
        said = dataseal("ledger", "publish", self._folder / "public", "--workspace", self._workspace.folder)
        assert said.code == 0, said
        copy = self._folder / f"public-{size}"
        shutil.copytree(self._folder / "public", copy, copy_function=os.link)  # a file there is only ever replaced
        self._done[size] = StaticLog(copy, ORIGIN, (SIGNER.vkey,), size, all_leaves()[:size])


def _workspace(folder: Path) -> Workspace:
    """A workspace whose log has the key of the static logs."""
    workspace = workspaces.create(folder, origin=ORIGIN)
    keys = folder / "keys"
    (keys / "log.key").unlink()
    keyfile.save(KeyFileSigner(SIGNER.private_key), keys / "log.key", None)
    (keys / "log.pub").unlink()
    (keys / "log.vkey").write_text(f"{SIGNER.vkey}\n")
    workspace.ledger.unlink()
    for beside in folder.glob("ledger.sqlite-*"):
        beside.unlink()
    Store.create(workspace.ledger, origin=ORIGIN, log_key=SIGNER.vkey).close()
    return workspace

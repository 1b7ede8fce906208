"""Hold ``handle``: the command gets pins of what was verified, and a folder in which its reader reports.

The format is `dataseal.verifiers.reader.handle`. What the command reads without the reader, nobody checks; so a receipt
says ``handle-offered``, and ``handle-read`` with counts only if the command's processes reported reads. That report is
the command's own word.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dataseal.ledger.errors import DatasealError, Unavailable, VerificationError
from dataseal.verifiers.holds.base import DATA, HoldName, Looked, Target, Unheld
from dataseal.verifiers.reader.handle import VARIABLE, Handed, Handle
from dataseal.verifiers.reader.pin import Pin
from dataseal.verifiers.reader.report import Reported, collect

PREFIX: Final = "dataseal-gate-"
URL: Final = "dataseal://"


class HandleHold(Unheld):
    """The command gets ``dataseal://`` and no folder."""

    name: HoldName = "handle"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._reported: dict[str, Reported] | None = None
        self._targets: Sequence[Target] = ()
        self._why: str | None = None

    def ready(self, targets: Sequence[Target]) -> Mapping[str, str]:
        """Writes the handle.

        Raises:
            VerificationError: a target without a verified release. Unavailable: it can't be written.
        """
        self._targets = targets
        reads = self._folder / "reads"
        handle = Handle(tuple(_handed(t) for t in targets), str(reads))
        path = self._folder / "handle.json"
        try:
            reads.mkdir(mode=0o700)
            with open(path, "xb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                file.write(handle.encode())
        except OSError as error:
            raise Unavailable(f"can't write the handle: {error.strerror}", where=str(path)) from None
        return {DATA: URL, VARIABLE: str(path)}

    def facts(self, target: Target) -> Mapping[str, Any]:
        """The command is offered a handle."""
        del target
        return {"handle": "handle-offered"}

    def after(self, target: Target) -> Looked:
        """What was reported. A report that can't be read counts as none, and the receipt says why."""
        if self._reported is None:
            roots = {t.examination.checked.manifest for t in self._targets}
            try:
                manifests = {m.root.hex(): m for m in roots if m is not None}
                self._reported = collect(self._folder / "reads", manifests)
            except DatasealError as error:
                self._reported, self._why = {}, str(error)
        release = target.examination.checked.release
        found = self._reported.get(release.root) if release else None
        if found is None:
            return Looked(facts={"handle": "handle-offered", **({"unread": self._why} if self._why else {})})
        return Looked(facts={"handle": "handle-read", "reads": found.json()})

    def close(self) -> None:
        """Removes the handle and the reports."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _handed(target: Target) -> Handed:
    checked = target.examination.checked
    if checked.release is None or checked.manifest is None:
        raise VerificationError(
            "a handle pins what a trusted publisher signed, and this has no verified release",
            where=target.source.name,
            hint="the policy's mode allows such data: use another --hold for it",
        )
    r = checked.release
    pin = Pin(r.root, r.table, r.chunk_size, r.chunk_hash, r.dataset, r.version)
    return Handed("file", os.path.abspath(target.source.folder), pin)

"""A log's resources as files, as tlog-tiles serves them: what a web server or a foreign verifier reads."""

from __future__ import annotations

from pathlib import Path

from dataseal.ledger.resources import CHECKPOINT, Resources
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.tlog.note import parse
from dataseal.ledger.tlog.tile import new_bundles, tiles_for


def export(resources: Resources, folder: Path) -> int:
    """Writes every resource of the newest checkpoint's tree below ``folder``, the checkpoint last; returns its size."""
    note = resources.read(CHECKPOINT)
    assert note is not None, f"{resources.name} has no signed checkpoint"
    size = parse_body(parse(note).text).size
    for tile in (*new_bundles(0, size), *tiles_for(size)):
        data = resources.read(tile.path)
        assert data is not None, f"{resources.name} lacks {tile.path}"
        write(folder, tile.path, data)
    write(folder, CHECKPOINT, note)
    return size


def write(folder: Path, path: str, data: bytes) -> None:
    """Writes one resource as a new file: never through a hard link to another log's."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(data)

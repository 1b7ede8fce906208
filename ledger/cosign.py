"""The cosign walk: one more signer's bundle over a release's statement, logged, proven and laid beside the others.

hold the folder against the statement → sign the *same bytes* → `record` (an endorsement) → two more files in
``.dataseal/release/``. It serves k-of-n publishers, and the new key that endorses what an old one signed. Whoever
cosigns vouches for the data, so the data is hashed again; who signed before is not judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataseal.ledger import bundle as bundles
from dataseal.ledger import hashing, seal
from dataseal.ledger import statement as statements
from dataseal.ledger.anylog import AnyLog
from dataseal.ledger.durable import write_whole
from dataseal.ledger.errors import DatasealError, IntegrityError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.paths import SEAL
from dataseal.ledger.record import Recorded, record
from dataseal.ledger.sign import entry_files, hash_folder
from dataseal.ledger.signers.base import Signer
from dataseal.ledger.statement import Statement
from dataseal.ledger.verify import verify_bundle


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What `cosign` made: the logged bundle, its number in the seal, and how many signers the release has now."""

    recorded: Recorded
    number: int
    signers: int


def cosign(
    folder: Path,
    *,
    signer: Signer,
    log: AnyLog,
    jobs: int | None = None,
    progress: hashing.Progress | None = None,
) -> Cosigned:
    """Adds a signature to the release in ``folder``. A run that was cut off is finished by the next one.

    Raises:
        UsageError: no signed release.
        IntegrityError: its bundles are over several statements, or the folder's files are not what the statement says.
        Refused: the log holds no such release, or does not list the signer. Unavailable: something can't be written.
    """
    present = _bundles(folder)
    payloads = {bundles.parse(raw).payload for raw in present.values()}
    if len(payloads) != 1:
        raise IntegrityError(
            "the release's bundles are over several statements", where=str(folder / SEAL), hint="fetch it again"
        )
    payload = payloads.pop()
    statement = statements.parse(payload)
    _check_data(folder, statement, jobs, progress)
    recorded = record(payload, signer=signer, log=log)
    number = next((n for n, raw in present.items() if _is_by(signer, raw)), max(present) + 1)
    _lay(folder / SEAL / seal.release_name(number, "sigstore.json"), recorded.bundle)
    _lay(folder / SEAL / seal.release_name(number, "tlog-proof"), recorded.proof)
    # What was announced since the release was made travels with it from now on.
    with log.store.view() as view:
        announced = view.of_dataset(statement.dataset, "key")
    for name, data in entry_files(log, announced).items():
        _lay(folder / SEAL / name, data)
    return Cosigned(recorded, number, len({*present, number}))


def _bundles(folder: Path) -> dict[int, bytes]:
    """The release's bundles by their number, of whatever signer."""
    for name in (SEAL, f"{SEAL}/release", f"{SEAL}/history"):
        if (folder / name).is_symlink():
            raise UsageError(f"{name} is a symlink: nothing is written through it", where=str(folder))
    names = {path.relative_to(folder / SEAL).as_posix(): path for path in (folder / SEAL / "release").glob("*")}
    found = {}
    for number in seal.releases(names):
        path = names.get(seal.release_name(number, "sigstore.json"))
        if path is not None and path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                found[number] = stream.read(bundles.MAX_BUNDLE + 1)
    if not found:
        raise UsageError(
            f"no signed release in {folder}",
            where=str(folder / SEAL),
            hint="sign it first (`dataseal sign`), or fetch it with its .dataseal/ folder",
        )
    return found


def _lay(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise Unavailable(
            f"can't write {path.name}: {error.strerror}",
            where=str(path),
            hint="check permissions and free space, and run the same command again: the logged entry is found and used",
        ) from None


def _check_data(folder: Path, statement: Statement, jobs: int | None, progress: hashing.Progress | None) -> None:
    release = statement.release()
    hashed = hash_folder(folder, release.tree.parameters, exclusions=release.exclusions, jobs=jobs, progress=progress)
    if hashed.manifest.root.hex() != statement.root:
        raise IntegrityError(
            f"the files are not those of {statement.dataset}@{statement.version}: root {hashed.manifest.root.hex()}, "
            f"and the statement says {statement.root}",
            where=str(folder),
            hint="`dataseal verify` names the file; nothing was signed",
        )


def _is_by(signer: Signer, raw: bytes) -> bool:
    """Whether the signer's bundle is there already: an earlier run was cut off, or is repeated."""
    try:
        verify_bundle(raw, [signer.credential])
    except SignatureInvalid:
        return False
    except DatasealError:  # another signer's certificate that can't be read is not ours
        return False
    return True

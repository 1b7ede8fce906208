"""A workspace: ``dataseal.toml``, the ledger, its objects, and the keys that write to it.

``dataseal init`` writes one like this (a test parses it)::

    dataseal = 1

    [ledger]
    path = "ledger.sqlite"
    origin = "dataseal.invalid/0123456789abcdef"
    log_key = "keys/log.key"

    [keys]
    publisher = "keys/publisher.key"
    gate = "keys/gate.key"

    [[admission]]
    datasets = ["*"]
    kinds = ["release", "modification", "key", "evidence"]
    keys = ["keys/publisher.pub"]

    [[admission]]
    datasets = ["*"]
    kinds = ["receipt"]
    keys = ["keys/gate.pub"]

    [[admission]]
    datasets = ["*"]
    kinds = ["closed"]
    keys = ["keys/publisher.pub"]

Paths are relative to the file; ``keys`` may be other URIs than files (`dataseal.ledger.signers.uri`).
``admission`` is the log's list of who may log what; what it does not list is refused.
Closing the log (`dataseal.ledger.closing`) takes a listed key and the log's own.
Besides keys it lists certified names and Sigstore identities (`dataseal.ledger.listing`).
``from`` and ``until`` bound a rule to indexes of the log, so that what a retired key logged stays admitted, and nothing
later by it is.
The configuration is found upward from the current directory, or named; one that lies inside a target is ignored, since
whoever made the target wrote it. A log that others witness has a table ``[ledger.witnesses]`` as well:
`dataseal.ledger.witness.configured`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from dataseal.ledger import listing
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.configuration import Config
from dataseal.ledger.entry import ENTRY_KINDS
from dataseal.ledger.errors import FormatError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.hashing.remember import Memory
from dataseal.ledger.objects import Objects
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers import uri as uris
from dataseal.ledger.signers.base import KeyedSigner
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.tlog.note import Ed25519Signer, is_key_name
from dataseal.ledger.view import views_of
from dataseal.ledger.witness.configured import open_cosigning

if TYPE_CHECKING:
    from dataseal.ledger.log import Log
    from dataseal.ledger.store.store import Store

L = TypeVar("L", bound="Log")

CONFIG: Final = "dataseal.toml"
TRUST: Final = "trust.yaml"
"""The workspace's trust document."""
MAX_CONFIG: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Workspace:
    """An opened workspace."""

    folder: Path
    config: Config

    @property
    def objects(self) -> Objects:
        """The workspace's content-addressed files."""
        return Objects(self.folder / "objects")

    @property
    def memory(self) -> Memory:
        """What was hashed here: journals, and the caches of ``--fast``."""
        return Memory(self.folder / "state" / "stats", self.folder / "keys" / "stats.key")

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.folder / self.config.ledger.path

    @property
    def database(self) -> Path | str:
        """Where the ledger is: its file, or the URL of its database."""
        return self.config.ledger.url or self.ledger

    def admission(self) -> Admission:
        """The log's admission rules, with their keys read."""
        rules = []
        for item in self.config.admission:
            unknown = set(item.kinds) - set(ENTRY_KINDS)
            if unknown:
                raise UsageError(
                    f"admission names unknown kinds: {', '.join(sorted(unknown))}",
                    where=str(self.folder / CONFIG),
                    hint=f"known: {', '.join(ENTRY_KINDS)}",
                )
            listed = listing.credentials(self.folder, item.keys, item.x509, item.sigstore)
            rules.append(Rule(tuple(item.datasets), tuple(item.kinds), listed, item.start, item.stop))
        return Admission(rules, listing.authorities(self.folder, self.config.timestamp_authorities))

    def signer(self, name: str, passphrase: Passphrase) -> KeyedSigner:
        """The private key that the configuration calls ``name``.

        Raises:
            UsageError: no such name, or the key can't be used. Unavailable: a key service does not answer.
        """
        return uris.open_key(self.key_uri(name), passphrase, folder=self.folder)

    def secrets(self) -> frozenset[str]:
        """The environment variables that let whoever has them sign with a key of the configuration."""
        return frozenset(name for uri in self.config.keys.values() for name in uris.secrets_of(uri))

    def key_uri(self, name: str) -> str:
        """The URI of the key that the configuration calls ``name``; a file is relative to the workspace.

        Raises:
            UsageError: no such name.
        """
        uri = self.config.keys.get(name)
        if uri is None:
            raise UsageError(
                f"no key {name!r} under [keys]",
                where=str(self.folder / CONFIG),
                hint=f"known: {', '.join(sorted(self.config.keys)) or 'none'}",
            )
        return uri

    def log(self, passphrase: Passphrase | None, *, offline: bool = False, filling: bool = False) -> Log:
        """The ledger's log; for reading only when ``passphrase`` is None.

        Args:
            offline: its witnesses, if it has any, are not asked.
            filling: an empty ledger, which is to get what was believed of its log from elsewhere.

        Raises:
            UsageError: the ledger or its key is missing or unusable; or witnesses would have to be asked, offline.
                Unavailable: it is locked.
            IntegrityError: the ledger's verifier key is not the published one.
            Rollback: opened for writing, and it does not hold what was believed of its log.
        """
        from dataseal.ledger.log import Log  # SQL loads here: a consumer who only verifies needs none
        from dataseal.ledger.store.store import Store

        if "://" in self.config.ledger.path:
            raise UsageError(
                f"this command reads the ledger's own file, and {self.config.ledger.path} is a server",
                hint="run it where the ledger's file is; `--from URL` reads a published log",
            )
        log = self.log_over(Log, Store.open(self.database), passphrase, offline=offline)
        if passphrase is not None and not filling:
            with log.store.view() as view:
                views_of(self.folder).demand_kept(log.trusted().policy, log.origin, view, view.head().size)
        return log

    def log_over(self, kind: type[L], store: Store, passphrase: Passphrase | None, *, offline: bool = False) -> L:
        """A log of this workspace, with its keys, rules and witnesses, over a store; see `log`."""
        if offline and passphrase is not None:
            self.demand_unwitnessed()
        signers = None
        if passphrase is not None:
            key = keyfile.load(self.folder / self.config.ledger.log_key, passphrase).private
            if not isinstance(key, Ed25519PrivateKey):
                raise UsageError("a log signs its checkpoints with an Ed25519 key", where=self.config.ledger.log_key)
            signers = [Ed25519Signer(self.config.ledger.origin, key)]
        log = kind(
            store,
            origin=self.config.ledger.origin,
            signers=signers,
            admission=self.admission(),
        )
        self._check_vkey(log.vkey)
        if (own := self.config.ledger.witnesses) is not None:
            log.witnessed_by(open_cosigning(self.folder, own, log.vkey, offline=offline))
        return log

    def demand_unwitnessed(self) -> None:
        """Checks that a checkpoint can be signed without the network.

        Raises:
            UsageError: the log has witnesses, which have to be asked.
        """
        if self.config.ledger.witnesses is not None:
            raise UsageError(
                "--offline, and the ledger's witnesses have to be asked about what is logged",
                where=str(self.folder / CONFIG),
                hint="leave --offline out; [ledger.witnesses] names them",
            )

    def _check_vkey(self, stored: str) -> None:
        """The published verifier key pins the ledger's: a file whose heads were all signed anew is another log."""
        published = (self.folder / self.config.ledger.log_key).with_suffix(".vkey")
        if published.is_file() and published.read_text(encoding="utf-8", errors="replace").strip() != stored:
            raise IntegrityError(
                f"the ledger says that its verifier key is {stored}; {published.name} says otherwise",
                where=str(self.ledger),
                hint="one of the two was replaced: restore it from a backup",
            )


def load(folder: Path) -> Workspace:
    """Opens the workspace in ``folder``.

    Raises:
        UsageError: no ``dataseal.toml``, or one that is not valid, naming field and reason.
    """
    path = folder / CONFIG
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_CONFIG + 1)
    except FileNotFoundError:
        raise UsageError(f"no {CONFIG} in {folder}", hint="run `dataseal init` there first") from None
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from None
    try:
        if len(data) > MAX_CONFIG:
            raise FormatError(f"more than {MAX_CONFIG:,} bytes")
        config = Config.model_validate(tomllib.loads(data.decode("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{field}: {first['msg']}", where=str(path)) from None
    except (ValueError, RecursionError, FormatError) as error:
        raise UsageError(f"not a valid configuration: {error}", where=str(path)) from None
    return Workspace(folder, config)


def find(start: Path, targets: Sequence[Path] = ()) -> tuple[Workspace | None, list[Path]]:
    """The workspace upward from ``start``, and the configurations that were ignored because they lie in a target."""
    ignored = [t.resolve() / CONFIG for t in targets if (t / CONFIG).is_file()]
    inside = [t.resolve() for t in targets]
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / CONFIG).is_file():
            if any(folder == t or folder.is_relative_to(t) for t in inside):
                if folder / CONFIG not in ignored:
                    ignored.append(folder / CONFIG)
                continue
            return load(folder), ignored
    return None, ignored


def mint_origin() -> str:
    """A new origin for a log that has no address: ``dataseal.invalid/`` and 16 random hexadecimal digits."""
    return f"dataseal.invalid/{secrets.token_hex(8)}"


def create(
    folder: Path, *, origin: str | None = None, passphrase: bytes | None = None, url: str | None = None
) -> Workspace:
    """Makes a workspace: configuration, keys, ledger. ``dataseal.toml`` is written last.

    Args:
        url: an empty PostgreSQL database for the ledger; a file in ``folder`` when None.

    Raises:
        UsageError: one is there already, or a file of its name; or the origin is no key name.
        Unavailable: it can't be written; what was made of it is removed.
    """
    origin = origin or mint_origin()
    if not is_key_name(origin) or "://" in origin:
        raise UsageError(
            f"{origin!r} can't be a log's origin", hint="give a URL without its scheme, such as log.example.org/data"
        )
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"not a folder: {folder}", hint="choose another place")
    for name in (CONFIG, "ledger.sqlite", "keys"):
        if os.path.lexists(folder / name):
            raise UsageError(
                f"{folder / name} exists: this is a workspace already, or part of one",
                hint="choose another folder",
            )
    try:
        # Made first, by one of two that run at once; what follows is ours alone, and so is its removal.
        (folder / "keys").mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise Unavailable(f"can't make a workspace in {folder}: {error.strerror}", hint="check permissions") from None
    try:
        _fill(folder, origin, passphrase, url)
    except BaseException as error:
        shutil.rmtree(folder / "keys", ignore_errors=True)
        for name in (CONFIG, "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unavailable(
                f"can't make a workspace in {folder}: {error.strerror}", hint="check permissions and disk space"
            ) from None
        raise
    return load(folder)


def _fill(folder: Path, origin: str, passphrase: bytes | None, url: str | None) -> None:
    from dataseal.ledger.store.store import Store

    keys = folder / "keys"
    log_key = keyfile.generate("ed25519")
    for name, signer in (("log", log_key), ("publisher", keyfile.generate()), ("gate", keyfile.generate())):
        keyfile.save(signer, keys / f"{name}.key", passphrase)
    assert isinstance(log_key.private, Ed25519PrivateKey)
    vkey = Ed25519Signer(origin, log_key.private).vkey
    (keys / "log.pub").unlink()  # a log is known by its verifier key
    (keys / "log.vkey").write_text(vkey + "\n", encoding="utf-8")
    Store.create(url or folder / "ledger.sqlite", origin=origin, log_key=vkey)
    _ignore(folder / ".gitignore")
    place = f"url = {json.dumps(url, ensure_ascii=False)}" if url else 'path = "ledger.sqlite"'
    text = _TEMPLATE.format(place=place, origin=json.dumps(origin, ensure_ascii=False))
    (folder / CONFIG).write_text(text, encoding="utf-8")


def _ignore(path: Path) -> None:
    """Keeps secrets out of git, and every line that is there already."""
    present = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    missing = [
        line for line in ("keys/*.key", "ledger.sqlite-*", "witness-sizes.json") if line not in present.splitlines()
    ]
    if missing:
        gap = "\n" if present and not present.endswith("\n") else ""
        text = present + gap + "".join(f"{line}\n" for line in missing)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")


_TEMPLATE: Final = """\
# A dataseal workspace. Paths are relative to this file.
dataseal = 1

[ledger]
{place}
origin = {origin}
log_key = "keys/log.key"

# Witnesses that cosign each checkpoint before it is published: a C2SP tlog-policy file with their quorum.
# [ledger.witnesses]
# policy = "witnesses.policy"

[keys]
publisher = "keys/publisher.key"
gate = "keys/gate.key"

# Who may log what: anything that is not listed is refused.
[[admission]]
datasets = ["*"]
kinds = ["release", "modification", "key", "evidence"]
keys = ["keys/publisher.pub"]

[[admission]]
datasets = ["*"]
kinds = ["receipt"]
keys = ["keys/gate.pub"]

# Who may end the log (`dataseal ledger close`), if they hold its log_key too.
[[admission]]
datasets = ["*"]
kinds = ["closed"]
keys = ["keys/publisher.pub"]
"""

"""Which server or published log, and whose key: a ledger elsewhere as a workspace's configuration names it.

::

    [ledger]
    vkey = "ledger.example.org/acme+1a2b3c4d+AQ…"    the log's verifier key
    log = "trusted/acme.policy"                       or: a file with it, or with a tlog-policy (witnesses, quorum)

With neither, the key is that of the workspace's own log (``<log_key>``'s ``.vkey``): its own server, with the witnesses
that ``[ledger.witnesses]`` names. A key never comes
from the server, nor from the environment.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataseal.ledger.errors import UsageError
from dataseal.ledger.places import scheme_of
from dataseal.ledger.remote.log import RemoteLog
from dataseal.ledger.signers.keyfile import Passphrase, read_key_file
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.trust import read_log
from dataseal.ledger.view import views_of
from dataseal.ledger.witness.configured import read_policy
from dataseal.ledger.workspace import CONFIG, Workspace

if TYPE_CHECKING:
    from dataseal.ledger.log import Log

SCHEMES: Final = ("https://", "http://")
DATABASES: Final = ("postgresql://", "postgresql+psycopg://", "postgres://")


def is_remote(url: str) -> bool:
    """Whether ``url`` names a ledger server."""
    return url.lower().startswith(SCHEMES)


def _scheme(url: str) -> bool:
    return scheme_of(url) != "file" or url.startswith("file:")


def is_published(url: str) -> bool:
    """Whether ``url`` names a place where a log is published: a folder, or an fsspec URL."""
    if not url or url.startswith(("sqlite:", *DATABASES)) or is_remote(url):
        return False
    scheme = scheme_of(url)
    if scheme in ("file", "local"):
        return url.startswith((f"{scheme}:", "file:")) or Path(url).is_dir()
    import fsspec  # type: ignore[import-untyped]

    return scheme in fsspec.available_protocols()


def with_ledger(workspace: Workspace, url: str) -> Workspace:
    """The workspace with another ledger: a file, a PostgreSQL database, a ledger server, or a published log.

    Raises:
        UsageError: ``url`` is none of them.
    """
    place = {"path": url, "url": ""}
    if url.startswith(DATABASES):
        place = {"path": "", "url": url}
    elif is_published(url):
        place["path"] = url if _scheme(url) else str(Path(url).absolute())
    elif not is_remote(url):
        path = url.removeprefix("sqlite:///").removeprefix("sqlite:")
        if "://" in path:
            raise UsageError(
                f"can't open ledger {url!r}",
                hint="give a path, sqlite:PATH, postgresql+psycopg://USER@HOST/DATABASE, a server's https://…, or the "
                "folder or bucket where the log is published",
            )
        place["path"] = str(Path(path).absolute())
    ledger = workspace.config.ledger.model_copy(update=place)
    return replace(workspace, config=workspace.config.model_copy(update={"ledger": ledger}))


def published_at(workspace: Workspace) -> str | None:
    """Where the workspace's ledger is published, if it is a published log."""
    path = workspace.config.ledger.path
    url = path if not path or _scheme(path) else str(workspace.folder / path)
    return url if is_published(url) else None


def policy_of(workspace: Workspace) -> LogPolicy:
    """The policy that a remote log of the workspace is held to.

    Raises:
        UsageError: no key is named, or the file has none.
    """
    config = workspace.config.ledger
    where = str(workspace.folder / CONFIG)
    if config.vkey and config.log:
        raise UsageError("[ledger] names both `vkey` and `log`", where=where, hint="keep one of them")
    if config.vkey:
        try:
            return read_log(config.vkey.encode("utf-8", "surrogateescape"))
        except UsageError as error:
            raise UsageError(f"[ledger] vkey: {error.what}", where=where, hint=error.hint) from None
    path = workspace.folder / (config.log or Path(config.log_key).with_suffix(".vkey"))
    if not config.log and not path.is_file():
        raise UsageError(
            "the log's key is not named: nothing that a server answers could be verified",
            where=where,
            hint='add vkey = "NAME+ID+KEY" under [ledger], as the log\'s operator told it to you',
        )
    data = read_key_file(path)
    if config.witnesses is not None and not config.log:  # its own log, at another place
        return read_policy(workspace.folder / config.witnesses.policy, data.decode("utf-8", "replace").strip())
    return read_log(data)


def open_remote(workspace: Workspace, *, offline: bool = False) -> RemoteLog:
    """The log at the server that the workspace's configuration names as its ledger.

    Raises:
        UsageError: no key is named, or the network may not be used.
    """
    url = workspace.config.ledger.path
    if offline:
        raise UsageError(f"--offline, and the ledger is a server: {url}", hint="leave --offline out, or name a file")
    return RemoteLog(url, policy_of(workspace), views_of(workspace.folder), workspace.admission())


def open_log(workspace: Workspace, passphrase: Passphrase | None, *, offline: bool = False) -> Log | RemoteLog:
    """The workspace's ledger, wherever it is; a file or a published log is for reading only without ``passphrase``.

    Raises:
        As `open_remote`, `open_published` and `Workspace.log`.
    """
    if is_remote(workspace.config.ledger.path):
        return open_remote(workspace, offline=offline)
    if url := published_at(workspace):
        from dataseal.ledger.published import open_published

        return open_published(workspace, url, policy_of(workspace), passphrase, offline=offline)
    return workspace.log(passphrase, offline=offline)

"""``dataseal ledger witness``: a C2SP witness, which cosigns other people's logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.witness.state import State

_DIR = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_LOG = click.argument("log", metavar="VKEY")


@click.group("witness")
def command() -> None:
    """A witness: it cosigns checkpoints of the logs that it knows, each only if it continues the last."""


@command.command("init")
@_DIR
@click.option("--name", required=True, metavar="NAME", help="A URL without its scheme, such as witness.example.org/w1.")
@click.option("--ml-dsa", is_flag=True, help="Cosign with ML-DSA-44 as well as with Ed25519.")
@click.option("--encrypt", is_flag=True, help="Encrypt the keys with a passphrase (DATASEAL_KEY_PASSPHRASE, or asked).")
@unlocking
@common
def init(context: Context, folder: Path, name: str, ml_dsa: bool, encrypt: bool) -> None:
    """Make a witness in DIR: its keys, and the state that remembers what it cosigned."""
    from dataseal.cli.passphrase import new_passphrase
    from dataseal.cli.render import Report
    from dataseal.ledger.witness import home

    vkeys = home.create(folder, name, ml_dsa=ml_dsa, passphrase=new_passphrase() if encrypt else None)
    report = Report()
    report.pair("witness", name)
    for vkey in vkeys:
        report.pair("vkey", vkey)
    report.pair("next", f"dataseal ledger witness add-log {folder} VKEY, then serve {folder}")
    report.pair("", "never restore its state from a backup: make a new witness instead")
    context.emit(str(report), lambda: {"command": "ledger witness init", "name": name, "vkeys": list(vkeys)})


@command.command("add-log")
@_DIR
@_LOG
@common
def add_log(context: Context, folder: Path, log: str) -> None:
    """Witness the log with the key VKEY (a verifier key, or a file with one); a running witness begins at once."""
    key = _log_key(log)
    with _state(folder) as state:
        if key.vkey in state.meta().get("vkeys", "").split("\n"):
            raise UsageError("this is the witness's own key", hint="give the log's verifier key (log.vkey)")
        added = state.add_key(key.name, key.vkey)
    what = f"{key.name} is witnessed{'' if added else ' already'} by key {key.key_id.hex()}"
    _said(context, "add-log", what, origin=key.name, vkey=key.vkey, added=added)


@command.command("remove-log")
@_DIR
@_LOG
@common
def remove_log(context: Context, folder: Path, log: str) -> None:
    """Trust the key VKEY for its log no longer; what was cosigned of the log stays remembered."""
    key = _log_key(log)
    with _state(folder) as state:
        if not state.remove_key(key.name, key.vkey):
            raise UsageError(f"the witness does not know this key of {key.name!r}", hint="`show` lists its logs")
    _said(context, "remove-log", f"{key.name}: key {key.key_id.hex()} is removed", origin=key.name, vkey=key.vkey)


@command.command("show")
@_DIR
@common
def show(context: Context, folder: Path) -> None:
    """Show the witness's keys, its logs with their latest checkpoints, and the evidence that it kept."""
    from dataseal.cli.render import Report

    with _state(folder) as state:
        meta = state.meta()
        logs = [_log(state, origin) for origin in state.origins()]
    vkeys = meta.get("vkeys", "").split("\n")
    report = Report()
    report.pair("witness", meta.get("name", ""))
    for vkey in vkeys:
        report.pair("vkey", vkey)
    for log in logs:
        report.pair("log", f"{log['origin']}{'' if log['vkeys'] else ' (removed)'}")
        latest = log["latest"]
        report.pair("", f"size {latest['size']}, root {latest['root']}" if latest else "nothing cosigned yet")
        for item in log["evidence"]:
            report.pair("evidence", f"{item['kind']}: size {item['size']}, root {item['root']}")
    document = {"command": "ledger witness show", "name": meta.get("name"), "vkeys": vkeys, "logs": logs}
    context.emit(str(report), lambda: document)


@command.command("serve")
@_DIR
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free port.")
@click.option(
    "--tls-cert", metavar="FILE", help="Certificate chain (PEM); without one, put a proxy with TLS before it."
)
@click.option("--tls-key", metavar="FILE", help="The certificate's private key (PEM).")
@click.option("--proxy", "proxies", multiple=True, metavar="ADDRESS",
              help="A proxy whose X-Forwarded-For is believed, for the rate limit; repeatable.")  # fmt: skip
@unlocking
@common
def serve(
    context: Context, folder: Path, host: str, port: int, tls_cert: str | None, tls_key: str | None,
    proxies: tuple[str, ...],
) -> None:  # fmt: skip
    """Serve the witness in DIR until SIGTERM or Ctrl-C; needs `pip install dataseal[server]`."""
    import logging

    try:
        from dataseal.ledger.witness.server import App, Server
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'dataseal[server]'") from None
    from dataseal.ledger.witness import home

    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    level = logging.WARNING if context.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    witness = home.load(folder, context.passphrase)
    try:
        tls = (tls_cert, tls_key) if tls_cert and tls_key else None
        server = Server(App(witness), host=host, port=port, trusted_proxies=proxies, tls=tls)
        context.say(f"{witness.name} serves at {server.url}")
        server.run()
    finally:
        witness.state.close()


def _log(state: State, origin: str) -> dict[str, Any]:
    latest = state.latest(origin)
    shown = None
    if latest:
        note = latest.note.decode("utf-8", "replace")
        shown = {"size": latest.size, "root": latest.root.hex(), "timestamp": latest.timestamp, "note": note}
    evidence = [
        {"kind": e.kind, "at": e.at, "size": e.size, "root": e.root.hex(), "note": e.note.decode("utf-8", "replace"),
         "latest": e.latest.decode("utf-8", "replace")}
        for e in state.evidence(origin)
    ]  # fmt: skip
    return {"origin": origin, "vkeys": state.keys(origin), "latest": shown, "evidence": evidence}


def _log_key(value: str) -> Any:
    from dataseal.ledger.signers.keyfile import read_key_file
    from dataseal.ledger.witness.witness import log_key

    if not Path(value).is_file():
        return log_key(value)
    try:
        return log_key(read_key_file(Path(value)).decode().strip())
    except UnicodeDecodeError:
        raise UsageError("not a verifier key", where=value) from None


@contextmanager
def _state(folder: Path) -> Iterator[State]:
    from dataseal.ledger.witness.home import STATE
    from dataseal.ledger.witness.state import State

    state = State(folder / STATE)
    try:
        yield state
    finally:
        state.close()


def _said(context: Context, name: str, what: str, **document: Any) -> None:
    from dataseal.cli.render import safe

    context.emit(safe(what), lambda: {"command": f"ledger witness {name}", **document})

"""``dataseal ledger serve``: the ledger over HTTP."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import click

from dataseal.cli.context import Context, common
from dataseal.cli.passphrase import unlocking

if TYPE_CHECKING:
    from dataseal.ledger.workspace import Workspace

LOOPBACK = "127.0.0.1"
PORT = 8480


@click.command("serve")
@click.option("--host", default=LOOPBACK, metavar="ADDRESS", help=f"Where to listen; default {LOOPBACK}.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, metavar="N", help=f"Default {PORT}; 0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, metavar="N", help="Processes; default 1.")
@click.option("--public", is_flag=True, help="Anybody who reaches the address may read this ledger.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Entries a second that one address may log; 0 lifts the limits.",
)
@click.option(
    "--trust-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-For names the client; repeatable.",
)
@unlocking
@common
def command(
    context: Context, host: str, port: int, workers: int, public: bool, rate: float | None, proxies: tuple[str, ...]
) -> None:
    """Serve the ledger: to read as a C2SP tlog-tiles log, and to log to by whoever signs with a listed key.

    Other workspaces use it with --ledger URL, and its verifier key under [ledger] of their dataseal.toml.
    TLS and names are a proxy's work: put one before it, and say --public.
    """
    from dataseal.ledger.errors import UsageError

    if not public and not _is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines, and everything in the ledger with it",
            hint="say --public if that is meant; by default the server listens on 127.0.0.1",
        )
    workspace = context.workspace()
    if context.offline:
        workspace.demand_unwitnessed()
    try:
        from dataseal.ledger.server.run import Plan, listen, serve
        from dataseal.ledger.server.settings import Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dataseal"):
            raise
        raise UsageError(
            f"the server's libraries are not installed: there is no {error.name}",
            hint="run: pip install 'dataseal[server]'",
        ) from None
    hosts = frozenset() if public else frozenset({"localhost", LOOPBACK, "[::1]", _in_url(host).lower()})
    settings = Settings(hosts=hosts, trusted_proxies=proxies)
    if rate is not None:
        settings = Settings(
            hosts=hosts, trusted_proxies=proxies, rate=rate, burst=max(10 * rate, 1),
            total_rate=10 * rate, total_burst=max(40 * rate, 1),
        )  # fmt: skip
    plan = Plan(workspace, _passphrase(context, workspace), settings)
    with listen(host, port) as sock:
        url = f"http://{_in_url(host)}:{sock.getsockname()[1]}"
        serve(plan, sock, workers=workers, ready=lambda: _tell(context, workspace, url))


def _tell(context: Context, workspace: Workspace, url: str) -> None:
    from dataseal.cli.render import safe

    origin = workspace.config.ledger.origin
    context.emit(f"SERVING {safe(origin)} at {url}", lambda: {"command": "ledger serve", "origin": origin, "url": url})


def _passphrase(context: Context, workspace: Workspace) -> bytes | None:
    """The log key's passphrase, asked for once: workers open the key for themselves."""
    from dataseal.ledger.signers import keyfile

    path = workspace.folder / workspace.config.ledger.log_key
    context.warn_readable(path)
    given: list[bytes | None] = []

    def ask(name: str) -> bytes | None:
        given.append(context.passphrase(name))
        return given[-1]

    keyfile.load(path, ask)
    return given[-1] if given else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""What the sub-commands share: where a log is read, whom to believe about it, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataseal.cli.commands.ledger_group.ends import note_end
from dataseal.cli.context import Context
from dataseal.cli.trusting import read_logs
from dataseal.ledger.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from dataseal.ledger.follow import Tree
    from dataseal.ledger.log import Log
    from dataseal.ledger.places import Destination
    from dataseal.ledger.resources import Resources
    from dataseal.ledger.tlog.policy import CheckedCheckpoint, LogPolicy
    from dataseal.ledger.view import Views

F = TypeVar("F", bound=Callable[..., Any])

LOG_HELP = "The trusted log: its verifier key, a file with it, or a tlog-policy file."


def reading(function: F) -> F:
    """Adds the options of commands that read one log: the workspace's, or a published one."""
    published = click.option("--from", "source", metavar="URL", help="Read a published log instead of the ledger.")
    log = click.option("--log", "log", metavar="VKEY", help=f"{LOG_HELP} With --from.")
    return published(log(function))


def own_log(context: Context) -> Log:
    """The workspace's log, for reading: a file, a database, or a published log.

    Raises:
        UsageError: it is a server.
    """
    from dataseal.ledger.remote.log import RemoteLog

    workspace = context.workspace()
    log = context.open_log(workspace)
    if isinstance(log, RemoteLog):
        raise UsageError(
            f"this command reads the ledger's own file, and {workspace.config.ledger.path} is a server",
            hint="run it where the ledger's file is; `--from URL` reads a published log",
        )
    return log


def ledger_name(context: Context, log: Log) -> str:
    """Where the workspace's log is, for messages."""
    from dataseal.ledger.places import without_secrets
    from dataseal.ledger.published import PublishedLog

    return log.place if isinstance(log, PublishedLog) else without_secrets(str(context.workspace().database))


def store_resources(log: Log, name: str, *, signed: bool = False) -> Resources:
    """A store's log as resources: under the checkpoint that may be published, or the newest ``signed`` one."""
    from dataseal.ledger.resources import StoreResources

    return StoreResources(log.store, name, None if signed else log.publishable)


def open_source(context: Context, url: str) -> Resources:
    """The log at ``url``: a published one, or a workspace's ledger.

    Raises:
        UsageError: nothing can read there, or it needs the network under ``--offline``.
    """
    from dataseal.ledger import fetch
    from dataseal.ledger import workspace as workspaces

    _demand_online(context, url)
    if (Path(url) / workspaces.CONFIG).is_file():
        workspace = workspaces.load(Path(url))
        return store_resources(workspace.log(None, offline=context.offline), str(workspace.ledger))
    resources = fetch.open_source(url)
    if isinstance(resources, fetch.WebResources):
        click.get_current_context().call_on_close(resources.close)
    return resources


def open_destination(context: Context, url: str) -> Destination:
    """The place that a log is written to.

    Raises:
        UsageError: a workspace, whose keys would be served with the log; or nothing can write there.
    """
    from dataseal.ledger import places
    from dataseal.ledger import workspace as workspaces

    _demand_online(context, url)
    place = places.open_destination(url)
    if (Path(place.name) / workspaces.CONFIG).is_file():
        raise UsageError(
            "this is a workspace: whoever serves the published log would serve its private keys too",
            where=place.name,
            hint="publish to a folder of its own",
        )
    return place


def policy_of(log: str | None) -> LogPolicy:
    """What ``--log`` says.

    Raises:
        UsageError: nothing, or no log.
    """
    if log is None:
        raise UsageError(
            "no log to believe: a checkpoint proves nothing without the key of its log",
            hint="give --log the log's verifier key (log.vkey), or a tlog-policy file",
        )
    return read_logs([log])[0].policy


def views_of(context: Context) -> Views:
    """What this client believes of logs."""
    from dataseal.ledger import view

    workspace = context.find_workspace()
    return view.views_of(workspace.folder if workspace else None)


def tree_of(context: Context, source: str | None, log: str | None, *, hand_out: bool = False) -> Tree:
    """The verified tree that a reading command asks about.

    Args:
        hand_out: its checkpoint goes to others: the log's witnesses have to have cosigned it.

    Raises:
        UsageError: ``--log`` without ``--from`` or the reverse, or an empty ledger.
        Unavailable: no checkpoint is cosigned as the log's witnesses' policy demands.
    """
    from dataseal.ledger.follow import open_tree
    from dataseal.ledger.resources import CHECKPOINT
    from dataseal.ledger.view import follow

    if source is not None:
        tree = follow(open_source(context, source), policy_of(log), views_of(context))
        note_end(context, tree)
        return tree
    if log is not None:
        raise UsageError("--log goes with --from", hint="the workspace's own ledger is read with its own key")
    own = own_log(context)
    name = ledger_name(context, own)
    if store_resources(own, name, signed=True).read(CHECKPOINT) is None:
        raise UsageError("the ledger has no signed checkpoint yet", hint="log something first, such as with `sign`")
    if hand_out:
        _witnessed(context, own)
    return open_tree(store_resources(own, name, signed=not hand_out), own.trusted().policy, require_quorum=False)


def _witnessed(context: Context, log: Log) -> None:
    """Has the newest checkpoint cosigned; when it can't be, an older one that is will do, and that is said."""
    try:
        log.witness()
    except Unavailable as error:
        with log.store.view() as view:
            size = log.publishable(view).size
        if not size:
            raise
        context.note(f"proven at size {size}: {error.what}")


def head_json(checked: CheckedCheckpoint) -> dict[str, Any]:
    """A verified head as JSON values."""
    return {
        "origin": checked.log,
        "size": checked.checkpoint.size,
        "root": checked.checkpoint.root.hex(),
        "witnesses": [{"name": seen.name, "timestamp": seen.timestamp} for seen in checked.cosignatures],
        "witnesses_known": checked.witnesses_known,
        "quorum_met": checked.quorum_met,
    }


def head_line(checked: CheckedCheckpoint) -> str:
    """A verified head for people."""
    witnesses = f"witnesses {checked.witnesses_seen}/{checked.witnesses_known}"
    quorum = "" if checked.quorum_met else ", quorum not met"
    return f"size {checked.checkpoint.size}, root {checked.checkpoint.root.hex()}; {witnesses}{quorum}"


def _demand_online(context: Context, url: str) -> None:
    from dataseal.ledger.places import is_network, without_secrets

    if context.offline and is_network(url):
        raise UsageError(f"--offline, and {without_secrets(url)} needs the network", hint="give a folder")

"""Continues a published log in a store of one's own: the same entries, the same roots, the same key.

 1. The published log has ended: it carries its final entry, or the caller says that it runs nowhere else. A log that
    is continued in two places forks.
 2. It is the log that the store is for: origin and log key. Its checkpoint, tiles and entries hold (`follow`).
 3. Every entry is admitted anew: header and bundle parse, a listed key signed, header and statement agree, the chain
    and the admission rules hold.
 4. The store's own root over them is the checkpoint's.

All in one transaction: what stops it leaves the store empty. The published checkpoint becomes the store's newest head,
with its cosignatures: nothing is signed, and no second root for any size.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Admission
from dataseal.ledger.digest import sha256
from dataseal.ledger.durable import write_whole
from dataseal.ledger.errors import DatasealError, IntegrityError, SignatureInvalid, UsageError
from dataseal.ledger.follow import JOBS, Leaf, Tree
from dataseal.ledger.log import Log
from dataseal.ledger.replay import Replay, open_replay
from dataseal.ledger.resources import Resources
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import Store
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.verify import VerifiedStatement
from dataseal.ledger.view import Views, follow
from dataseal.ledger.workspace import Workspace

BATCH: Final = 4096
"""Entries that are inserted at once: some 8 MiB."""

FINAL_KINDS: Final[frozenset[str]] = frozenset({"closed"})
"""Kinds of entry after which a log goes on elsewhere."""


def import_log(
    log: Log, tree: Tree, *, stopped: bool, jobs: int = JOBS, progress: Callable[[int], None] | None = None
) -> int:
    """Fills the empty store of ``log`` with the entries of ``tree``; returns how many there are.

    Args:
        stopped: the caller says that the published log is written nowhere else any more.
        progress: called with the number of entries just taken.

    Raises:
        UsageError: steps 1 and 2, or the store is not empty.
        FormatError, SignatureInvalid, Refused, IntegrityError, ProofInvalid: an entry does not hold, naming it.
    """
    _demand_same(log, tree)
    _demand_ended(tree, stopped)
    with open_replay() as replay, log.store.appending() as view:
        if (size := view.head().size) != 0:
            raise UsageError(
                f"the ledger holds {size} entries already; a log is imported into an empty one",
                hint="`dataseal init` makes a workspace with an empty ledger",
            )
        leaves = tree.entries(jobs=jobs)
        while batch := list(islice(leaves, BATCH)):
            rows = []
            for leaf in batch:
                try:
                    entry = entries.parse(leaf.body)
                    verified = log.admission.verify(entry.bundle, now=entry.header.at)
                    rows.append(_admit(leaf, entry, verified, replay, log.admission))
                except DatasealError as error:
                    where = f"entry {leaf.index} of {tree.resources.name}"
                    raise type(error)(error.what, where=where, hint=error.hint) from None
            view.insert(rows)
            if progress:
                progress(len(rows))
        head = view.head()
        if (head.size, head.root) != (tree.size, tree.root):  # 4
            raise IntegrityError(
                f"the entries lead to size {head.size}, root {head.root.hex()}; "
                f"the checkpoint says size {tree.size}, root {tree.root.hex()}"
            )
        view.sign_head(tree.size, tree.note)
    return tree.size


def open_ledger(workspace: Workspace, passphrase: Passphrase) -> Log:
    """The workspace's ledger, opened with the log's key; made for that key when there is none.

    Raises:
        UsageError: the key can't be used, or the ledger that is there was made with another one.
    """
    if not workspace.ledger.exists():
        config = workspace.config.ledger
        key = keyfile.load(workspace.folder / config.log_key, passphrase).private
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError("a log signs its checkpoints with an Ed25519 key", where=config.log_key)
        vkey = Ed25519Signer(config.origin, key).vkey
        Store.create(workspace.ledger, origin=config.origin, log_key=vkey)
        write_whole((workspace.folder / config.log_key).with_suffix(".vkey"), f"{vkey}\n".encode())
    try:
        return workspace.log(passphrase)
    except UsageError as error:
        hint = f"if the ledger at {workspace.ledger} is empty, remove it: import makes one for the key"
        raise UsageError(error.what, where=error.where, hint=hint) from None


def follow_own(log: Log, resources: Resources, views: Views) -> Tree:
    """The published tree, by this log's own key.

    Raises:
        As `view.follow`.
    """
    try:
        return follow(resources, log.trusted().policy, views)
    except SignatureInvalid as error:
        raise SignatureInvalid(
            error.what,
            where=error.where,
            hint=f"a log goes on under its own origin and key; this workspace's are {log.vkey}. "
            "Make one with `dataseal init --origin`, and put the old log's private key where [ledger] log_key says",
        ) from None


def _demand_ended(tree: Tree, stopped: bool) -> None:
    if not tree.size:
        raise UsageError(f"{tree.resources.name} has no entries: there is nothing to import")
    if stopped or entries.parse(tree.entry(tree.size - 1).body).header.kind in FINAL_KINDS:
        return
    raise UsageError(
        "the published log was not closed: two places that both continue it would fork it",
        where=tree.resources.name,
        hint="if nothing logs to it any more, say so with --same-log-stopped",
    )


def _demand_same(log: Log, tree: Tree) -> None:
    if tree.checkpoint.origin != log.origin:
        raise UsageError(
            f"this ledger is for {log.origin!r}; {tree.checkpoint.origin!r} is published there",
            where=tree.resources.name,
            hint=f"make a workspace for it: dataseal init --origin {tree.checkpoint.origin}",
        )
    if log.vkey not in tree.checked.log_vkeys:
        raise UsageError(
            f"this ledger's log key is {log.vkey}; the published checkpoint is by another one",
            where=tree.resources.name,
            hint="a log goes on under its own key: put its private key where [ledger] log_key says",
        )


def _admit(
    leaf: Leaf, entry: entries.Entry, verified: VerifiedStatement, replay: Replay, admission: Admission
) -> StoredEntry:
    statement = verified.statement
    entries.check_header(entry.header, statement)
    replay.check_chain(entry.header)
    admission.check(verified, replay, kind=entry.header.kind, index=leaf.index)
    replay.add(leaf.leaf, entry.header, statement)
    return StoredEntry(
        index=leaf.index,
        leaf=leaf.leaf,
        body=leaf.body,
        kind=entry.header.kind,
        dataset=statement.dataset,
        version=statement.version,
        sequence=statement.release().sequence if statement.kind == "release" else None,
        root=statement.root,
        table_digest=statement.table,
        signer=verified.signer.fingerprint,
        payload=sha256(statement.payload).hex(),
        logged_at=entry.header.logged_at,
    )

"""Continues a published log in a store of one's own: the same entries, the same roots.

Two ways, since a log is its key:

*The same log moves.* The store is for the published log's own origin and key, and the caller says that it runs nowhere
else: a log that is continued in two places forks. The published checkpoint becomes the store's newest head, with its
cosignatures: nothing is signed.

*Another log takes over.* The published log's final entry closed it (`dataseal.ledger.closing`) and names the store's
key as its successor. The closed entry is imported like the others, and the store's key then signs the root that the old
key signed last. The old log stays what it is: closed.

 1. The published log has ended, in one of these ways. Its checkpoint, tiles and entries hold (`follow`).
 2. Every entry is admitted anew: header and bundle parse, a listed key signed, header and statement agree, the chain
    and the admission rules hold, and so do those of closed entries. No statement stands there twice by one signer.
 3. The store's own root over them is the checkpoint's.

All in one transaction: what stops it leaves the store empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.closing import KIND, Closing, check_position
from dataseal.ledger.digest import sha256
from dataseal.ledger.durable import write_whole
from dataseal.ledger.errors import DatasealError, IntegrityError, Refused, SignatureInvalid, UsageError
from dataseal.ledger.follow import JOBS, Leaf, Tree
from dataseal.ledger.log import Log
from dataseal.ledger.replay import Replay, open_replay
from dataseal.ledger.resources import Resources
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import Passphrase
from dataseal.ledger.store import lookups
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import Store, View
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.verify import VerifiedStatement
from dataseal.ledger.view import Views, follow
from dataseal.ledger.workspace import Workspace

BATCH: Final = 4096
"""Entries that are inserted at once: some 8 MiB."""


def import_log(
    log: Log, tree: Tree, *, stopped: bool, jobs: int = JOBS, progress: Callable[[int], None] | None = None
) -> int:
    """Fills the empty store of ``log`` with the entries of ``tree``; returns how many there are.

    Args:
        tree: under the key of ``log``, or of the closed log that names it as its successor.
        stopped: the caller says that the published log is written nowhere else any more.
        progress: called with the number of entries just taken.

    Raises:
        UsageError: step 1, or the store is not empty.
        FormatError, SignatureInvalid, Refused, IntegrityError, ProofInvalid: an entry does not hold, naming it.
    """
    same = _demand_ended(log, tree, stopped)  # 1
    with open_replay() as replay, log.store.appending() as view:
        if (size := view.head().size) != 0:
            raise UsageError(
                f"the ledger holds {size} entries already; a log is imported into an empty one",
                hint="`dataseal init` makes a workspace with an empty ledger",
            )
        take_tree(log, view, replay, tree, jobs=jobs, progress=progress)
        if same:
            view.sign_head(tree.size, tree.note)
    if not same:
        log.checkpoint()
    return tree.size


def take_tree(
    log: Log, view: View, replay: Replay, tree: Tree, *, jobs: int = JOBS, progress: Callable[[int], None] | None = None
) -> None:
    """Steps 2 and 3: inserts the entries of ``tree`` that are not in the store yet, which holds those before them.

    Args:
        view: of `Store.appending`. replay: has seen the entries of the store.

    Raises:
        FormatError, SignatureInvalid, Refused, IntegrityError, ProofInvalid: an entry does not hold, naming it.
    """
    leaves = tree.entries(view.head().size, jobs=jobs)
    while batch := list(islice(leaves, BATCH)):
        take(log, view, replay, batch, tree.resources.name, lambda index: merkle.root_at(tree, index))
        if progress:
            progress(len(batch))
    demand_root(log, view, replay, tree.size, tree.root)


def take(log: Log, view: View, replay: Replay, leaves: Sequence[Leaf], name: str, root: Callable[[int], bytes]) -> None:
    """Step 2: admits and inserts entries.

    Args:
        name: where they come from. root: gives the root hash over the entries before an index.

    Raises:
        As `take_tree`.
    """
    rows: list[StoredEntry] = []
    for leaf in leaves:
        try:
            entry = entries.parse(leaf.body)
            verified = log.admission.verify(entry.bundle, now=entry.header.at)
            rows.append(_admit(log, leaf, entry, verified, replay, root))
        except DatasealError as error:
            raise type(error)(error.what, where=f"entry {leaf.index} of {name}", hint=error.hint) from None
    _demand_new(view, rows, name)
    view.insert(rows)


def _demand_new(view: View, rows: Sequence[StoredEntry], name: str) -> None:
    """Checks that no signer's statement is there twice: nobody's signature is of use to log it again."""
    keys = [lookups.of_payload(row.root, row.payload) for row in rows]
    held = view.may_hold(keys)
    taken: set[tuple[str, str]] = set()
    for row, key in zip(rows, keys, strict=True):
        who = row.payload, row.signer
        if who in taken or (key in held and view.find(*who, row.root) is not None):
            raise Refused(
                "the log holds this statement by this signer already: a log takes each once",
                where=f"entry {row.index} of {name}",
                hint="whoever made that log did not keep to its rules: ask its operator",
            )
        taken.add(who)


def demand_root(log: Log, view: View, replay: Replay, size: int, root: bytes) -> None:
    """Step 3.

    Raises:
        IntegrityError: the entries lead elsewhere. Refused: they are another log's.
    """
    head = view.head()
    if (head.size, head.root) != (size, root):
        raise IntegrityError(
            f"the entries lead to size {head.size}, root {head.root.hex()}; "
            f"the checkpoint says size {size}, root {root.hex()}"
        )
    replay.succession([log.vkey]).check_end(size)


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
        return workspace.log(passphrase, filling=True)
    except UsageError as error:
        hint = f"if the ledger at {workspace.ledger} is empty, remove it: import makes one for the key"
        raise UsageError(error.what, where=error.where, hint=hint) from None


def follow_source(log: Log, resources: Resources, views: Views, policy: LogPolicy | None) -> Tree:
    """The published tree: by this log's own key, or by ``policy``, which knows the closed log before it.

    Raises:
        As `view.follow`.
    """
    try:
        return follow(resources, policy or log.trusted().policy, views)
    except SignatureInvalid as error:
        if policy is not None:
            raise
        raise SignatureInvalid(
            error.what,
            where=error.where,
            hint=f"this workspace's key is {log.vkey}. To move a log, make the workspace with `dataseal init --origin` "
            "and put the log's private key where [ledger] log_key says; to succeed a closed one, name that with --log",
        ) from None


def final(tree: Tree) -> Closing | None:
    """What the newest entry of a tree closes, if it closes a log.

    Raises:
        FormatError: it says that it does, and is no valid statement.
    """
    if not tree.size:
        return None
    entry = entries.parse(tree.entry(tree.size - 1).body)
    if entry.header.kind != KIND:
        return None
    statement = statements.parse(bundles.parse(entry.bundle).payload)
    entries.check_header(entry.header, statement)
    return check_position(statement, tree.size - 1, lambda: merkle.root_at(tree, tree.size - 1))


def _demand_ended(log: Log, tree: Tree, stopped: bool) -> bool:
    """Step 1; returns whether the store goes on with the very same log."""
    where = tree.resources.name
    if not tree.size:
        raise UsageError(f"{where} has no entries: there is nothing to import")
    closing = final(tree)
    if log.vkey in tree.checked.log_vkeys:
        if closing is None and not stopped:
            raise UsageError(
                "the published log was not closed: two places that both continue it would fork it",
                where=where,
                hint="if nothing logs to it any more, say so with --same-log-stopped",
            )
        return True
    if closing is None or closing.log not in tree.checked.log_vkeys:
        origin = tree.checkpoint.origin
        raise UsageError(
            f"this ledger is for {log.vkey}; the log published there is by another one, and is not closed",
            where=where,
            hint=f"to move it, make a workspace with `dataseal init --origin {origin}` and its private key; "
            f"to go on with it under another key, close it: dataseal ledger close --successor '{log.vkey}'",
        )
    if closing.successor != log.vkey:
        raise UsageError(
            f"the log published there is closed, and does not name this one as its successor: {closing.described()}",
            where=where,
            hint=f"this workspace's key is {log.vkey}; only the named log may go on",
        )
    return False


def _admit(
    log: Log,
    leaf: Leaf,
    entry: entries.Entry,
    verified: VerifiedStatement,
    replay: Replay,
    root: Callable[[int], bytes],
) -> StoredEntry:
    statement = verified.statement
    entries.check_header(entry.header, statement)
    replay.check_chain(entry.header)
    log.admission.check(verified, replay, kind=entry.header.kind, index=leaf.index)
    closing = replay.succession([log.vkey]).check(leaf.index, statement, lambda: root(leaf.index))
    replay.add(leaf.leaf, entry.header, statement, closing)
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

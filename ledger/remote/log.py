"""A log on another machine, worked on like one's own: `dataseal ledger serve` at the other end.

Nothing that the server says is believed for its own sake:

 1. Checkpoints are signed by the log's key, which the configuration names; the tree moves only forward, by
    consistency, from what this client believed before (`dataseal.ledger.view`). One that does not is kept as evidence.
 2. An entry that was posted is included, header and our very bundle, under such a checkpoint; the header says of it
    what the statement says. Where the log held it before, its bundle must hold the same statement. What it calls an
    endorsement endorses a statement that stands before it.
 3. Entries of a dataset come as a chain (`remote.chain`). When a further one is logged, its ``dataset_prev`` names the
    newest that was told before, or one that was logged since and that our statement still follows; else the server
    hid something.
 4. What is read of the whole log hashes to the believed root.

A post may be repeated without harm, and is, when an answer is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import Admission, check_order
from dataseal.ledger.bundle import MEDIA_TYPE
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.errors import FormatError, IntegrityError, ProofInvalid, Rollback, UsageError
from dataseal.ledger.fetch import WebResources
from dataseal.ledger.follow import Tree, check_extends, head
from dataseal.ledger.log import Appended
from dataseal.ledger.remote.exchange import Exchange
from dataseal.ledger.remote.view import STATES, History, RemoteView
from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.statement import Statement
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.policy import CheckedCheckpoint, LogPolicy
from dataseal.ledger.tlog.proof import LogProof, parse_proof, verify_proof
from dataseal.ledger.trust import TrustedLog
from dataseal.ledger.view import Views, follow

if TYPE_CHECKING:
    import httpx2

LINES: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class _Posted:
    """An entry that was posted, and that is in the log."""

    appended: Appended
    statement: Statement
    proof: bytes
    checked: CheckedCheckpoint


class RemoteLog:
    """A served log.

    Args:
        url: the server's prefix. policy: the log's key, and its witnesses. views: what was believed of it.
        admission: whose entries we build upon; the log's own rules are its own.
        transport: where requests go instead of the network. pause: waits between two tries.

    Raises:
        UsageError: not a URL, or a policy that does not name exactly one log.
    """

    def __init__(
        self,
        url: str,
        policy: LogPolicy,
        views: Views,
        admission: Admission,
        *,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        origins = {log.key.name for log in policy.logs}
        if len(origins) != 1:
            raise UsageError(f"a ledger is one log; its key file names {len(origins)}", hint="name one log's keys")
        self.origin = origins.pop()
        self.vkey = policy.logs[0].key.vkey
        self.admission = admission
        self.store = RemoteStore(self)
        self.exchange = Exchange(url, transport=transport, pause=pause)
        self._policy = policy
        self._views = views
        self._resources = WebResources(url, transport=transport, pause=pause)
        self._view: RemoteView | None = None
        self._proofs: dict[int, bytes] = {}

    def close(self) -> None:
        """Ends the connections."""
        self.exchange.close()
        self._resources.close()

    def trusted(self) -> TrustedLog:
        """The log as the configuration trusts it."""
        return TrustedLog(self.exchange.name, self._policy)

    def checkpoint(self) -> bytes:
        """The newest checkpoint.

        Raises:
            UsageError: the log is empty.
        """
        tree = self.view().tree
        if tree is None:
            raise UsageError("the log is empty: there is nothing to sign yet", where=self.exchange.name)
        return tree.note

    def view(self) -> RemoteView:
        """The log as it is now; the same object as before when it did not grow (1).

        Raises:
            Rollback, Fork: it is not what it was. FormatError, SignatureInvalid, ProofInvalid: it does not hold.
            Unavailable: the server does not answer.
        """
        note = self._resources.read(CHECKPOINT)
        if self._view is not None and note == (self._view.tree.note if self._view.tree else None):
            return self._view
        if note is None:
            self._demand_empty()
            tree = None
        else:
            tree = follow(self._resources, self._policy, self._views, require_quorum=False)
        self._view = RemoteView(self.exchange, tree, self.admission)
        return self._view

    def _demand_empty(self) -> None:
        believed = self._views.newest(self._policy, self.origin)
        if believed is not None:
            raise Rollback(
                f"{self.origin} serves no checkpoint; it had size {believed.checkpoint.size} before",
                where=self.exchange.name,
                hint="check the address; if it is right, the log lost its entries, or hides them",
            )
        answer = self.exchange.get("entries", {"limit": 1})
        if not isinstance(answer, dict) or answer.get("size") != 0:
            raise FormatError("no checkpoint, and no empty log either", where=self.exchange.name)

    def append(self, bundles: Sequence[bytes]) -> list[Appended]:
        """Posts bundles, all or none, and verifies where they are (2, 3).

        Raises:
            Refused: the log does not take one, and says why.
            FormatError, SignatureInvalid, ProofInvalid, IntegrityError, Rollback: the server's answer does not hold.
            Unavailable: it does not answer.
        """
        if not bundles:
            return []
        if len(bundles) > 1 and any(b"\n" in bundle for bundle in bundles):
            raise UsageError("a bundle of several lines can't be posted with others", hint="post it alone")
        answer = self.exchange.post("entries", b"\n".join(bundles), LINES if len(bundles) > 1 else MEDIA_TYPE)
        match answer:
            case {"entries": list(told)} if len(told) == len(bundles):
                posted = [self._posted(bundle, item) for bundle, item in zip(bundles, told, strict=True)]
            case _:
                raise FormatError("not an answer to a post of entries", where=self.exchange.name)
        before = self._view
        view = self.view()
        for checkpoint in {item.checked.signed.data: item.checked.checkpoint for item in posted}.values():
            self._demand_reached(view.tree, checkpoint)
        for item in posted:
            self._demand_shown(item, before, view)
            self._proofs[item.appended.index] = item.proof
        return [item.appended for item in posted]

    def _posted(self, bundle: bytes, told: Any) -> _Posted:
        match told:
            case {"index": index, "existed": bool(existed), "proof": str(proof), **rest}:
                pass
            case _:
                raise FormatError("an entry without index and proof", where=self.exchange.name)
        held = bundle
        statement = statements.parse(parse_bundle(bundle).payload)
        if existed:
            held = str(rest.get("bundle")).encode()
            if parse_bundle(held).payload != statement.payload:
                raise IntegrityError(
                    "the log gives another statement for the one that was posted", where=self.exchange.name
                )
        parsed = parse_proof(proof.encode())
        if type(index) is not int or parsed.index != index or parsed.extra is None:
            raise FormatError("a proof of another entry, or without its header", where=self.exchange.name)
        header = entries.parse_header(parsed.extra)
        entries.check_header(header, statement)
        leaf = entries.leaf_hash(parsed.extra, held)
        included = verify_proof(parsed, leaf, self._policy, require_quorum=False)
        return _Posted(Appended(included.index, header, held, existed), statement, proof.encode(), included.checked)

    def _demand_reached(self, tree: Tree | None, proven: Checkpoint) -> None:
        """The tree that is served holds the one that the entry was proven in."""
        if tree is None or tree.size < proven.size:
            raise Rollback(
                f"{self.origin} proves an entry at {head(proven)}, and then serves "
                f"{head(tree.checkpoint) if tree else 'no checkpoint'}",
                where=self.exchange.name,
                hint="a cache before the server may keep old checkpoints, which it must not; else the log went back",
            )
        check_extends(tree, proven)

    def _demand_shown(self, item: _Posted, before: RemoteView | None, view: RemoteView) -> None:
        """3. What we were told before we signed is what the log really held."""
        dataset, index, kind = item.statement.dataset, item.appended.index, item.appended.header.kind
        if kind == entries.ENDORSEMENT:
            # Whether it is one, only the log says: what was meant as a release would be none.
            check_order(item.statement, History(view, index), kind=kind)
        chain = before.chains.get(dataset) if before else None
        size = before.count() if before else 0
        if chain is not None and chain.asked:
            newest, link = chain.newest, item.appended.header.dataset_prev
            if index < size:
                hidden = newest is None or newest.index < index
            else:
                hidden = link != newest and (link is None or link.index < size)
            if hidden:
                raise ProofInvalid(
                    f"the server hid entries of {dataset!r}: of the first {size} it told "
                    f"{f'entry {newest.index}' if newest else 'none'} as the newest, and entry {index} follows "
                    f"{f'entry {link.index}' if link else 'none'}",
                    where=self.exchange.name,
                    hint="what was signed may rest on an old state: keep this message, and look at the log's history",
                )
            if index >= size and link == newest:
                return
        if not item.appended.existed and before is not None and kind in STATES:
            # Others were faster; an honest log takes what follows from what they logged, and nothing else.
            check_order(item.statement, History(view, index), kind=kind)

    def proven(self, index: int) -> bool:
        """Whether the checkpoint that is served holds entry ``index``."""
        tree = self.view().tree
        return tree is not None and index < tree.size

    def prove(self, indexes: Sequence[int]) -> list[bytes]:
        """Proof files for entries, made from the tiles; for entries just logged, those that came with the answer.

        Raises:
            UsageError: no such entry. And as `view`.
        """
        if all(index in self._proofs for index in indexes):
            return [self._proofs[index] for index in indexes]
        view = self.view()
        if view.tree is None:
            raise UsageError("the log is empty: there is nothing to prove", where=self.exchange.name)
        headers = view.headers()
        return [_prove(view.tree, index, headers.get(index)) for index in indexes]


def _prove(tree: Tree, index: int, header: bytes | None) -> bytes:
    if header is None:
        return tree.prove(index).encode()
    if index >= tree.size:
        raise UsageError(f"no entry {index} in {tree.checkpoint.origin}, which has {tree.size}")
    hashes = tuple(merkle.prove_inclusion(tree, size=tree.size, index=index))
    return LogProof(index, hashes, tree.note, header).encode()


class RemoteStore:
    """Gives views of a remote log."""

    def __init__(self, log: RemoteLog) -> None:
        self._log = log

    @contextmanager
    def view(self) -> Iterator[RemoteView]:
        """The log as it is now."""
        yield self._log.view()

"""A dataset's entries as a server tells them, newest first, none of them believed without proof.

For each entry of ``GET /entries?dataset=…&size=…`` (`dataseal.ledger.server.queries`), in order:

 1. header and bundle make a leaf whose inclusion proof leads to the root of the tree that was asked for;
 2. the header is of this dataset;
 3. the entry is the one that the next newer one's ``dataset_prev`` names, by index and leaf hash; after the last one
    there is none to name.

So nothing between the newest that is told and the dataset's first entry can be left out, changed or put in. That the
*newest* one is told can't be seen here: whoever logs an entry of the dataset sees it, in that entry's own
``dataset_prev`` (`remote.log`).
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dataseal.ledger import entry as entries
from dataseal.ledger.errors import FormatError, ProofInvalid
from dataseal.ledger.follow import Leaf, Tree
from dataseal.ledger.remote.exchange import Exchange
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.limits import MAX_PROOF_HASHES

PAGE: Final = 100


class Pages:
    """Pages of entries, each entry proven to be in the tree (1).

    Args:
        exchange: the server. tree: the tree, believed.
    """

    def __init__(self, exchange: Exchange, tree: Tree) -> None:
        self._exchange = exchange
        self._tree = tree

    def found(self, wanted: Mapping[str, str | int]) -> Iterator[tuple[Leaf, entries.Header]]:
        """What the server tells of the entries that match, newest first; that it tells all of them is not proven.

        Args:
            wanted: parameters of ``GET /entries``, but for ``size`` and ``limit``.

        Raises:
            ProofInvalid, FormatError: what it tells does not hold. Unavailable: it does not answer.
        """
        before = int(wanted.get("before", self._tree.size))
        more = self._tree.size > 0
        while more:
            asked = {**wanted, "size": self._tree.size, "limit": PAGE, "before": before}
            page = self._exchange.get("entries", asked)
            told = self._page(page)
            for item in told:
                leaf, header = self._verified(item)
                if leaf.index >= before:
                    raise self._bad("entries that are not in order")
                before = leaf.index
                yield leaf, header
            more = page["before"] is not None
            if more and not told:
                raise self._bad("an empty page that is not the last")

    def _page(self, page: Any) -> list[Any]:
        match page:
            case {"entries": list(told), "before": before, "size": size} if (
                size == self._tree.size and (before is None or type(before) is int) and len(told) <= PAGE
            ):
                return told
        raise self._bad("not a page of entries as it was asked for")

    def _verified(self, item: Any) -> tuple[Leaf, entries.Header]:
        match item:
            case {"index": int(index), "header": str(header), "bundle": str(bundle), "hashes": list(hashes)} if (
                type(index) is int and 0 <= index < self._tree.size
            ):
                pass
            case _:
                raise self._bad("an entry without index, header, bundle and hashes")
        body = entries.join(header.encode(), bundle.encode())
        leaf = Leaf(index, body, merkle.leaf_hash(body))
        merkle.verify_inclusion(  # 1
            index=index, size=self._tree.size, leaf=leaf.leaf, proof=self._hashes(hashes), root=self._tree.root
        )
        return leaf, entries.parse_header(header.encode())

    def _hashes(self, hashes: list[Any]) -> list[bytes]:
        if len(hashes) > MAX_PROOF_HASHES or not all(isinstance(value, str) for value in hashes):
            raise self._bad("a proof that is no list of hashes")
        try:
            return [b64decode(value, validate=True) for value in hashes]
        except (Base64Error, ValueError):
            raise self._bad("a hash that is not base64") from None

    def _bad(self, what: str) -> FormatError:
        return FormatError(f"the server answers with {what}", where=self._exchange.name)


class Chain(Pages):
    """A dataset's entries in one tree, fetched as far as they are wanted, and kept.

    Args:
        exchange: the server. tree: the tree, believed. dataset: whose entries.
    """

    def __init__(self, exchange: Exchange, tree: Tree, dataset: str) -> None:
        super().__init__(exchange, tree)
        self.dataset = dataset
        self._known: list[tuple[Leaf, entries.Header]] = []
        self._complete = False

    def __iter__(self) -> Iterator[tuple[Leaf, entries.Header]]:
        """The entries with their headers, newest first.

        Raises:
            ProofInvalid, FormatError: what the server tells does not hold. Unavailable: it does not answer.
        """
        at = 0
        while at < len(self._known) or self._more():
            yield self._known[at]
            at += 1

    @property
    def asked(self) -> bool:
        """Whether the server has told anything yet."""
        return self._complete or bool(self._known)

    @property
    def newest(self) -> entries.Link | None:
        """The newest entry that the server told; None when it said that there is none."""
        return entries.Link(self._known[0][0].index, self._known[0][0].leaf) if self._known else None

    @property
    def told(self) -> list[tuple[Leaf, entries.Header]]:
        """What the server told so far, newest first."""
        return list(self._known)

    def _more(self) -> bool:
        if self._complete or not self._tree.size:
            return False
        parameters: dict[str, str | int] = {"dataset": self.dataset, "size": self._tree.size, "limit": PAGE}
        if self._known:
            parameters["before"] = self._known[-1][0].index
        page = self._exchange.get("entries", parameters)
        told = self._page(page)
        for item in told:
            leaf, header = self._verified(item)
            if header.dataset != self.dataset:  # 2
                raise self._bad(f"entry {leaf.index} is of {header.dataset!r}, and {self.dataset!r} was asked for")
            self._add(leaf, header)
        self._complete = page["before"] is None
        if not told and not self._complete:
            raise self._bad("an empty page that is not the last")
        if self._complete and self._known and self._known[-1][1].dataset_prev is not None:
            link = self._known[-1][1].dataset_prev
            raise ProofInvalid(
                f"the server leaves out entry {link.index} of {self.dataset!r}",
                where=self._exchange.name,
                hint="it hides part of the dataset's history: keep its answers, and ask a mirror of the log",
            )
        return bool(told)

    def _add(self, leaf: Leaf, header: entries.Header) -> None:
        if self._known:  # 3
            named = self._known[-1][1].dataset_prev
            if named != entries.Link(leaf.index, leaf.leaf):
                raise ProofInvalid(
                    f"entry {leaf.index} is not the one before entry {self._known[-1][0].index} of {self.dataset!r}",
                    where=self._exchange.name,
                    hint="the server leaves out or adds entries: keep its answers, and ask a mirror of the log",
                )
        self._known.append((leaf, header))

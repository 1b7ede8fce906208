"""What a store already holds, as the rules ask: the history that admission judges by, and whether the log is closed."""

from __future__ import annotations

from dataseal.ledger import closing as closings
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import Newest
from dataseal.ledger.closing import Closing
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.statement import Statement
from dataseal.ledger.store.store import View
from dataseal.ledger.tlog.keys import parse_vkey


class StoredHistory:
    """`admission.History` over a store's view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        row = self._view.newest(dataset, "release")
        return Newest(row.sequence or 0, row.version, row.root) if row else None

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return self._view.release(dataset, version) is not None

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return self._view.state(dataset, root) is not None

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return self._view.newest(dataset, "release", "modification") is not None

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""
        return self._view.stated(sha256(statement.payload).hex(), statement.root) is not None


def closing_of(view: View, log: str) -> Closing | None:
    """The entry that closed the log with verifier key ``log``, if it is closed.

    Raises:
        IntegrityError: there is one, and it can't be read.
    """
    row = view.newest(parse_vkey(log).name, closings.KIND)
    if row is None:
        return None
    try:
        closing = Closing.of(statements.parse(row.statement_bytes))
    except FormatError as error:
        raise IntegrityError(
            f"entry {row.index} closes a log, and can't be read: {error.what}", hint="run `dataseal ledger check`"
        ) from None
    return closing if closing.log == log else None

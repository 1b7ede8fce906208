"""What the ledger writes into its journal on the way, told to whoever runs a command."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

NAME: Final = "dataseal.ledger"


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


def tell(say: Callable[[str], None]) -> None:
    """Hands warnings of the ledger to ``say``, in the place of whom they were handed to before."""
    journal = logging.getLogger(NAME)
    for handler in [h for h in journal.handlers if isinstance(h, _Teller)]:
        journal.removeHandler(handler)
    journal.addHandler(_Teller(say))

"""A gate that made something private removes it before a signal ends it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""SIGINT is Python's KeyboardInterrupt already."""


class Ended(BaseException):
    """A signal that ends the gate; it unwinds like an interrupt, past every handler of errors."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def unwinding() -> Iterator[None]:
    """Inside, a signal raises `Ended`; outside, when all is cleaned up, the process ends by that signal.

    While the gated command runs, the gate's own handlers are in force: they forward.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; whoever runs a gate elsewhere handles signals
        return

    def end(number: int, _frame: object) -> NoReturn:
        raise Ended(number)

    # What is ignored (nohup) stays ignored.
    previous = {n: signal.signal(n, end) for n in _ENDING if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    except Ended as ended:
        for number in previous:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
        raise  # not reached: the default action of both is to end
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

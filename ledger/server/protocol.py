"""HTTP/1.1 for strangers: uvicorn's h11 protocol with time limits for clients that don't go on.

uvicorn waits without end for headers that don't come and for answers that aren't read. Here:

 - headers are complete `header_seconds` after connecting, or after the first byte of a further request;
 - an answer that isn't read for `send_seconds` ends the connection (answers are written in small pieces, so that
   the buffer drains often when the client reads at all).

A body's time limit is the application's (`dataseal.ledger.server.body`), because its answer is a proper 408.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from dataseal.ledger.server import limits


class PatientProtocol(H11Protocol):
    """Patient, and not for ever."""

    header_seconds = limits.HEADER_SECONDS
    send_seconds = limits.SEND_SECONDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._headers_due: asyncio.TimerHandle | None = None
        self._reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._headers_due, self._reading_due):
            if timer is not None:
                timer.cancel()
        self._headers_due = self._reading_due = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # uvicorn declares the cycle without its None.
        if getattr(self.cycle, "response_complete", True) is False:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None
        elif self._headers_due is None and not self.transport.is_closing():
            # Part of the next request's headers, or the rest of a body whose request was answered already.
            self._await_headers()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._await_reader()  # closing waits until everything is read

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _await_headers(self) -> None:
        self._headers_due = self.loop.call_later(self.header_seconds, self.transport.abort)

    def _await_reader(self) -> None:
        if self._reading_due is None:
            self._reading_due = self.loop.call_later(self.send_seconds, self.transport.abort)


def protocol(header_seconds: float, send_seconds: float) -> type[PatientProtocol]:
    """The protocol with other time limits than the ordinary ones."""
    return type("PatientProtocol", (PatientProtocol,), {"header_seconds": header_seconds, "send_seconds": send_seconds})

"""What the server answers when it does not do what it was asked: JSON with *what*, *where* and *what next*.

::

    {"next": "sign with a key that is listed", "what": "the log does not list this key for …", "where": null}

The text is ASCII: control, bidirectional and other characters that came from outside stand as JSON escapes. An error
that is not the client's says nothing about the machine; the server's own log says it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from dataseal.ledger.errors import DatasealError, FormatError, Refused, SignatureInvalid, Unavailable

JSON: Final = "application/json"
MAX_TEXT: Final = 500


class Problem(Exception):
    """An answer other than the one asked for.

    Args:
        status: the HTTP status. what, where, hint: as a `DatasealError` has them.
        retry_after: whole seconds after which the same request may succeed.
        close: the connection can't be used again, because a body was left unread.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        retry_after: int | None = None,
        close: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.body = {"what": what[:MAX_TEXT], "where": where and where[:MAX_TEXT], "next": hint and hint[:MAX_TEXT]}
        self.headers = {"Cache-Control": "no-store", **(headers or {})}
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        if close:
            self.headers["Connection"] = "close"

    def response(self) -> Response:
        """The answer."""
        return Response(dumps(self.body), status_code=self.status, headers=self.headers, media_type=JSON)


def dumps(value: Any) -> bytes:
    """ASCII JSON with sorted keys."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def of_error(error: DatasealError, *, where: str | None = None) -> Problem:
    """The answer to a post that was not logged.

    400 malformed · 403 not by a listed key · 409 refused by what the log holds already · 503 locked, or the disk is
    full · 500 the log is damaged, or something that no client can mend.
    """
    if isinstance(error, FormatError):
        return Problem(400, error.what, where=where, hint=error.hint)
    if isinstance(error, SignatureInvalid):
        # Which keys are listed is the log's own business.
        return Problem(
            403,
            "no key that this log lists made this signature",
            where=where,
            hint="sign with a key that the log lists, or ask its operator to list yours",
        )
    if isinstance(error, Refused):
        return Problem(
            409, error.what, where=where, hint=error.hint or "read the dataset's newest state, and try again"
        )
    if isinstance(error, Unavailable):
        return Problem(
            503, "the log can't be written right now", hint="try again: nothing was logged twice", retry_after=2
        )
    return Problem(500, "the log can't answer: its operator has to look at it")

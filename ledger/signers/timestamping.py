"""Asks a time-stamping authority for a timestamp over a signature: RFC 3161 over HTTP (section 3.4).

The request carries a random nonce and asks for the authority's certificate; only the SHA-256 of the signature leaves
the machine. The answer is bounded in bytes and time, must echo the nonce and be over this signature. Redirects are not
followed. Plain ``http://`` is usual for authorities and does no harm: the answer is signed, and a verifier believes
only authorities that it has pinned.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dataseal.ledger import timestamp as timestamps
from dataseal.ledger.bundle import Signed
from dataseal.ledger.credential import Credential
from dataseal.ledger.errors import Unavailable, UsageError, VerificationError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers.base import Signer

if TYPE_CHECKING:
    import httpx2
    from rfc3161_client import TimeStampRequest

CONNECT_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 20.0
TRIES: Final = 3
_REPLY: Final = "application/timestamp-reply"


class TimestampClient:
    """One authority, by its URL; calling it with a signature gives the response, DER.

    Args:
        transport: where requests go instead of the network. pause: waits between two tries, in seconds.

    Raises:
        UsageError: not the address of a web server.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid or "@" in parts.netloc:
            raise UsageError(
                "this is no address of a timestamp authority",
                hint="give http(s)://HOST[/PATH], as its operator publishes it, without user and password",
            )
        self._url = url
        self._where = f"{parts.scheme}://{parts.netloc}{parts.path}"  # a query may hold a secret
        self._transport = transport
        self._pause = pause

    def __call__(self, signature: bytes) -> bytes:
        """The response over ``signature``.

        Raises:
            Unavailable: no answer in time, or one that can't be used.
        """
        from rfc3161_client import TimestampRequestBuilder
        from rfc3161_client.base import HashAlgorithm

        builder = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
        why = ""
        for attempt in range(TRIES):
            try:
                return self._checked(self._ask(request.as_bytes()), request, signature)
            except _Passing as error:
                why = error.why
            if attempt + 1 < TRIES:
                self._pause(0.25 * 4**attempt)
        raise self._failed(why)

    def _checked(self, answer: bytes, request: TimeStampRequest, signature: bytes) -> bytes:
        try:
            response = timestamps.parse(answer, signature)
        except VerificationError as error:
            raise self._failed(error.what) from None
        if response.tst_info.nonce != request.nonce:
            raise self._failed("it answers another request: the nonce differs")
        return answer

    def _ask(self, body: bytes) -> bytes:
        import httpx2

        deadline = time.monotonic() + TOTAL_SECONDS
        headers = {"content-type": "application/timestamp-query", "accept": _REPLY, "accept-encoding": "identity"}
        timeout = httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
        try:
            with (
                httpx2.Client(transport=self._transport, timeout=timeout, follow_redirects=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise _Passing(f"it answers {answer.status_code}")
                if answer.status_code != 200:
                    raise self._failed(f"it answers {answer.status_code}")
                if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != _REPLY:
                    raise self._failed(f"its answer is no {_REPLY}")
                data = bytearray()
                for piece in answer.iter_raw():
                    data += piece
                    if len(data) > timestamps.MAX_TOKEN:
                        raise self._failed(f"its answer exceeds {timestamps.MAX_TOKEN:,} bytes")
                    if time.monotonic() > deadline:
                        raise _Passing(f"no whole answer within {TOTAL_SECONDS:.0f} seconds")
                return bytes(data)
        except httpx2.InvalidURL as error:
            raise UsageError(f"not a URL: {error}", where=self._where) from None
        except httpx2.HTTPError as error:
            raise _Passing(f"no answer: {str(error)[:200] or type(error).__name__}") from None

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(
            f"the timestamp authority gave no timestamp: {why}",
            where=self._where,
            hint="nothing was logged: check the address, try again, or sign without --tsa",
        )


class Timestamped:
    """A `base.Signer` whose signatures an authority timestamps, each of them.

    Args:
        ask: gives the response, DER, over a signature, such as a `TimestampClient`.
    """

    def __init__(self, signer: Signer, ask: Callable[[bytes], bytes]) -> None:
        self._signer = signer
        self._ask = ask

    @property
    def public(self) -> PublicKey | None:
        """The signer's."""
        return self._signer.public

    @property
    def credential(self) -> Credential:
        """The signer's."""
        return self._signer.credential

    def sign_payload(self, payload: bytes) -> Signed:
        """The signer's signature and evidence, with the timestamp."""
        signed = self._signer.sign_payload(payload)
        return replace(signed, timestamps=(*signed.timestamps, self._ask(signed.signature)))


class _Passing(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

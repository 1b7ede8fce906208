"""The whole instance behind one web server, and what it can lie about."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import jwt
from cryptography import x509

from support.sigstore.fulcio import Fulcio, pem
from support.sigstore.keys import START, LogKey, b64
from support.sigstore.oidc import Provider
from support.sigstore.rekor import Rejected, Rekor
from support.tsa import Tsa

Lie = Literal[
    "wrong proof", "old checkpoint", "wrong checkpoint key", "wrong promise",
    "no sct", "foreign sct", "wrong issuer", "broken ca", "broken log",
]  # fmt: skip
Answer = tuple[int, dict[str, Any]]


@dataclass
class Sigstore:
    """The instance at ``url``; ``tsa`` is there when it also has a time-stamping authority.

    ``rekor_version`` is that of the log's interface; version 2 tells no times, and wants a ``tsa``.
    """

    url: str
    fulcio: Fulcio = field(default_factory=Fulcio)
    rekor: Rekor = field(default_factory=Rekor)
    tsa: Tsa | None = None
    rekor_version: int = 1
    lies: set[str] = field(default_factory=set)
    provider: Provider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = Provider(self.url)
        self.rekor.lies = self.lies

    @contextmanager
    def lying(self, *lies: Lie) -> Iterator[None]:
        """It lies while the block runs."""
        self.lies.update(lies)
        try:
            yield
        finally:
            self.lies.clear()

    def trusted_root(self) -> dict[str, Any]:
        """The ``TrustedRoot``: what a verifier trusts."""
        chain = [{"rawBytes": b64(one.der)} for one in (self.tsa.signer, self.tsa.root)] if self.tsa else []
        stamps = {
            "subject": {"organization": "a test", "commonName": "TSA"},
            "certChain": {"certificates": chain},
            "validFor": {"start": START},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.rekor.key.instance(self.url)],
            "certificateAuthorities": [self.fulcio.authority(self.url)],
            "ctlogs": [self.fulcio.ct.instance(f"{self.url}/ct")],
            "timestampAuthorities": [stamps] if self.tsa else [],
        }

    def signing_config(self) -> dict[str, Any]:
        """The ``SigningConfig``: where a signer asks."""

        def service(path: str = "", version: int = 1) -> list[dict[str, Any]]:
            span = {"start": START}
            return [{"url": self.url + path, "majorApiVersion": version, "validFor": span, "operator": "a test"}]

        return {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(),
            "oidcUrls": service(),
            "rekorTlogUrls": service(version=self.rekor_version),
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": service("/tsr") if self.tsa else [],
            "tsaConfig": {"selector": "ANY"},
        }

    def trust_config(self) -> bytes:
        """The ``ClientTrustConfig``: both."""
        media = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        value = {
            "mediaType": media, "trustedRoot": self.trusted_root(), "signingConfig": self.signing_config(),
        }  # fmt: skip
        return json.dumps(value).encode()

    def write(self, folder: Path) -> Path:
        """Writes ``trust-config.json`` and ``trusted-root.json``; gives the first one's path."""
        (folder / "trusted-root.json").write_text(json.dumps(self.trusted_root()))
        (folder / "trust-config.json").write_bytes(self.trust_config())
        return folder / "trust-config.json"

    def certify(self, key: Any, identity: str, issuer: str) -> x509.Certificate:
        """A certificate, as far as the lies let it be one."""
        return self.fulcio.issue(
            key,
            identity,
            "https://evil.example" if "wrong issuer" in self.lies else issuer,
            sct="no sct" not in self.lies,
            ct=LogKey() if "foreign sct" in self.lies else None,
        )

    def signing_cert(self, authorization: str, body: bytes) -> Answer:
        """``POST /api/v2/signingCert``: the token says who, the request proves the key."""
        try:
            identity, issuer = self.provider.check(authorization.removeprefix("Bearer "))
        except jwt.InvalidTokenError as error:
            return 401, {"code": 16, "message": f"There was an error processing the identity token: {error}"}
        request = x509.load_pem_x509_csr(base64.b64decode(json.loads(body)["certificateSigningRequest"]))
        if not request.is_signature_valid:
            return 400, {"code": 3, "message": "The signature supplied in the request could not be verified"}
        if "broken ca" in self.lies:
            return 200, {"signedCertificateEmbeddedSct": {}}
        leaf = self.certify(request.public_key(), identity, issuer)
        chain = [pem(leaf), *(pem(one.certificate) for one in self.fulcio.chain)]
        return 200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def log_entry(self, body: bytes, version: int) -> Answer:
        """``POST /api/v1/log/entries``, or ``v2``."""
        if "broken log" in self.lies:
            return 201, {"nothing": "of use"}
        try:
            return 201, (self.rekor.submit if version == 1 else self.rekor.submit_v2)(json.loads(body))
        except Rejected as error:
            return error.status, {"code": error.status, "message": str(error)}


@contextmanager
def running(*, tsa: bool = False, rekor: int = 1) -> Iterator[Sigstore]:
    """An instance that serves on loopback while the block runs."""
    instance: Sigstore

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if where.path == "/.well-known/openid-configuration":
                self.answer(200, instance.provider.discovery())
            elif where.path == "/keys":
                self.answer(200, instance.provider.keys())
            elif where.path == "/github":  # what a GitHub job asks for its token
                self.answer(200, {"value": instance.provider.token(instance.provider.user)})
            elif where.path == "/auth":
                self.send_response(302)
                self.send_header("location", instance.provider.authorize(where.query))
                self.end_headers()
            else:
                self.answer(404, {"code": 404, "message": "not found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            where = urlsplit(self.path).path
            if where == "/api/v2/signingCert":
                self.answer(*instance.signing_cert(self.headers.get("authorization", ""), body))
            elif where == f"/api/v{instance.rekor_version}/log/entries":
                self.answer(*instance.log_entry(body, instance.rekor_version))
            elif where == "/token":
                self.answer(200, instance.provider.exchange(body.decode()))
            elif where == "/tsr" and instance.tsa is not None:
                self.reply(200, "application/timestamp-reply", instance.tsa.answer(body))
            else:
                self.answer(404, {"code": 404, "message": "not found"})

        def answer(self, status: int, value: dict[str, Any]) -> None:
            self.reply(status, "application/json", json.dumps(value).encode())

        def reply(self, status: int, kind: str, data: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        authority = Tsa.new("Sigstore TSA") if tsa else None
        instance = Sigstore(f"http://localhost:{server.server_port}", tsa=authority, rekor_version=rekor)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield instance
        finally:
            server.shutdown()
            thread.join(20)

"""Key services on loopback: AWS KMS and HashiCorp Vault's transit engine, as far as a signer talks to them.

They hold real keys and make real signatures; requests without the expected credentials are refused as the services do.
Sources: AWS KMS API reference (GetPublicKey, Sign); Vault HTTP API, "Transit secrets engine" (read key, sign data).
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TOKEN = "hvs.a-secret-token"
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI-secret"


class Service:
    """What both share.

    Attributes:
        asked: the operations that were asked for, in order. lying: whether signatures are over something else.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lying = False

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        raise NotImplementedError


class Aws(Service):
    """AWS KMS with a P-256, a P-384 and an RSA key."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, Any] = {
            "alias/p256": ec.generate_private_key(ec.SECP256R1()),
            "alias/p384": ec.generate_private_key(ec.SECP384R1()),
            "alias/rsa": rsa.generate_private_key(65537, 2048),
        }

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        operation = headers["X-Amz-Target"].removeprefix("TrentService.")
        self.asked.append(operation)
        if f"Credential={ACCESS}/" not in headers.get("Authorization", ""):
            return 400, {"__type": "UnrecognizedClientException", "message": "The security token is invalid."}
        asked = json.loads(body)
        key = self.keys.get(asked["KeyId"])
        if key is None:
            return 400, {"__type": "NotFoundException", "message": f"Alias {asked['KeyId']} is not found."}
        if operation == "GetPublicKey":
            der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            name = {256: "ECDSA_SHA_256", 384: "ECDSA_SHA_384"}.get(key.key_size, "RSASSA_PSS_SHA_256")
            return 200, {"KeyId": asked["KeyId"], "PublicKey": b64encode(der).decode(), "SigningAlgorithms": [name]}
        digest = b64decode(asked["Message"])
        assert asked["MessageType"] == "DIGEST"
        kind = {"ECDSA_SHA_256": SHA256, "ECDSA_SHA_384": SHA384}[asked["SigningAlgorithm"]]()
        if self.lying:
            digest = bytes(len(digest))
        signature = key.sign(digest, ec.ECDSA(utils.Prehashed(kind)))
        return 200, {"KeyId": asked["KeyId"], "Signature": b64encode(signature).decode()}


class Vault(Service):
    """Vault's transit engine with an Ed25519 key ``release`` of two versions."""

    def __init__(self) -> None:
        super().__init__()
        self.versions = {"9": Ed25519PrivateKey.generate(), "10": Ed25519PrivateKey.generate()}

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if headers.get("X-Vault-Token") != TOKEN:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/transit/keys/release" and method == "GET":
            raw = {n: key.public_key().public_bytes_raw() for n, key in self.versions.items()}
            return 200, {"data": {"keys": {n: {"public_key": b64encode(key).decode()} for n, key in raw.items()}}}
        if path.startswith("/v1/transit/sign/release"):
            asked = json.loads(body)
            message = b64decode(asked["input"]) + (b"!" if self.lying else b"")
            version = str(asked["key_version"])
            signature = b64encode(self.versions[version].sign(message)).decode()
            return 200, {"data": {"signature": f"vault:v{version}:{signature}"}}
        return 404, {"errors": []}


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Runs a service; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value = service.answer(self.command, self.path, self.headers, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

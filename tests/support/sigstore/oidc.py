"""An OpenID provider: discovery, keys, the authorization-code flow with PKCE, and tokens for the asking."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt

from support.sigstore.keys import LogKey

AUDIENCE = "sigstore"


@dataclass
class Provider:
    """The provider at ``issuer``; whoever logs in with a browser is ``user``."""

    issuer: str
    key: LogKey = field(default_factory=LogKey)
    user: str = "alice@example.org"
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def token(self, identity: str, *, life: float = 300, **claims: Any) -> str:
        """A signed identity token."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": identity, "iat": now, "exp": int(now + life)}
        return jwt.encode(usual | claims, self.key.private, algorithm="ES256")

    def check(self, token: str) -> tuple[str, str]:
        """The identity and issuer of a token that this provider made.

        Raises:
            jwt.InvalidTokenError: it did not, or the token is expired or for somebody else.
        """
        claims = jwt.decode(
            token, self.key.private.public_key(), algorithms=["ES256"], audience=AUDIENCE, issuer=self.issuer
        )
        return str(claims["sub"]), str(claims["iss"])

    def discovery(self) -> dict[str, Any]:
        """``/.well-known/openid-configuration``."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def keys(self) -> dict[str, Any]:
        """The JWKS."""
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.private.public_key()))
        return {"keys": [key | {"use": "sig", "alg": "ES256"}]}

    def authorize(self, query: str) -> str:
        """Where a browser that logs in is sent."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: str) -> dict[str, Any]:
        """The answer of the token endpoint."""
        given = {name: values[0] for name, values in parse_qs(form).items()}
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge.rstrip(b"=").decode():
            return {"error": "invalid_grant"}
        token = self.token(self.user)
        return {"access_token": token, "id_token": token, "token_type": "Bearer"}

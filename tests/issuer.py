"""An identity provider for tests: keys, tokens, and a real server of its public keys that counts who asks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://issuer.example"
AUDIENCE = "tiles"


def encoded(part: dict[str, Any] | bytes) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Signs tokens with its keys; ``url`` gives the public ones, ``asked`` counts."""

    def __init__(self, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.issuer, self.audience = issuer, audience
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.stranger = rsa.generate_private_key(65537, 2048)
        self.stranger_ec = ec.generate_private_key(ec.SECP256R1())
        self.published = [public_jwk(self.rsa, "rsa-1"), public_jwk(self.ec, "ec-1")]
        self.asked = 0
        self.down = False
        issuing = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuing.asked += 1
                self.send_response(500 if issuing.down else 200)
                self.end_headers()
                if not issuing.down:
                    self.wfile.write(json.dumps({"keys": issuing.published}).encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        told = {"iss": self.issuer, "aud": self.audience, "sub": "ana", "iat": now, "exp": now + 600, **changed}
        return {name: value for name, value in told.items() if value is not None}

    def token(self, key: Any = None, algorithm: str = "RS256", kid: str | None = "rsa-1", **claims: Any) -> str:
        return self.signed(self.claims(**claims), {"kid": kid} if kid else {}, key, algorithm)

    def signed(self, claims: Any, header: dict[str, Any], key: Any = None, algorithm: str = "RS256") -> str:
        return jwt.encode(claims, key or self.rsa, algorithm, header)

    def confused(self, secret: bytes, **header: Any) -> str:
        """HS256, with something public as the secret."""
        text = f"{encoded({'typ': 'JWT', 'kid': 'rsa-1', 'alg': 'HS256', **header})}.{encoded(self.claims())}"
        return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"

    def public_pem(self) -> bytes:
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def public_jwk(key: Any, kid: str) -> dict[str, Any]:
    kind = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}

"""A small OpenID Connect provider: discovery, keys, codes with PKCE, tokens signed with RS256, user info.

It asks nobody anything: whoever comes is who the test said (``claims``). What it says wrongly on request is what a
client has to notice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "sovereign"
CLIENT_SECRET = "not-so-secret"
KEY_ID = "of-the-test"


class OidcProvider:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {}  # of who comes next
        self.false_claims: dict[str, Any] = {}  # what the id token says instead
        self.user_info: dict[str, Any] = {}  # what user info says instead
        self.forged = False  # the id token is signed with a key that is not published
        self.key_id = KEY_ID
        self.asked: list[str] = []  # which paths, in order
        self.codes: dict[str, dict[str, str]] = {}  # code → what it was asked for with
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a Sovereign whose people come from here."""
        return {
            "OIDC_ISSUER": self.issuer, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_NAME": "Test house",
        }  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def keys(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        published = {"n": _text(numbers.n.to_bytes(size, "big")), "e": _text(numbers.e.to_bytes(3, "big"))}
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id, **published}]}

    def change_key(self) -> None:
        """The one before is not published any more."""
        self.key, self.key_id = rsa.generate_private_key(public_exponent=65537, key_size=2048), f"{self.key_id}-"

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert (query["client_id"], query["response_type"]) == (CLIENT_ID, "code")
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        asked = self.codes.pop(form["code"])  # once
        assert (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        assert form["redirect_uri"] == asked["redirect_uri"]
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert _text(verifier) == asked["code_challenge"]
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": self.id_token(asked)}

    def id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 60, **self.claims}
        if "nonce" in asked:
            claims["nonce"] = asked["nonce"]
        return self.signed({**claims, **self.false_claims})

    def signed(self, claims: dict[str, Any]) -> str:
        head = _text(json.dumps({"alg": "RS256", "kid": self.key_id}).encode())
        said = f"{head}.{_text(json.dumps(claims).encode())}"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if self.forged else self.key
        return f"{said}.{_text(key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _handler(provider: OidcProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(_single(parts.query)))
                self.send_header("Content-Length", "0")
                return self.end_headers()
            said = {
                "/.well-known/openid-configuration": provider.discovery,
                "/keys": provider.keys,
                "/userinfo": lambda: {**provider.claims, **provider.user_info},
            }
            return self.answer(said[parts.path]())

        def do_POST(self) -> None:
            assert self.path == "/token"
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer(provider.token(_single(body)))

        def answer(self, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Not among the test's output."""

    return Handler

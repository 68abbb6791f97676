"""An identity provider of the tests' own, on loopback: it counts what it is asked, and misbehaves as told."""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Claims = dict[str, Any]


class Issuer:
    """`keys` are those it signs with, by kid; `known` is what its userinfo tells of each subject."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.known: dict[str, Claims] = {}
        self.description: Claims = {}
        self.keys: dict[str, PrivateKeyTypes] = {}
        self.trouble: dict[str, web.Response | asyncio.Event] = {}
        self.rotate("rsa", "ec")

    def rotate(self, rsa_kid: str, ec_kid: str) -> None:
        self.keys = {
            rsa_kid: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            ec_kid: ec.generate_private_key(ec.SECP256R1()),
        }

    def published(self) -> list[Claims]:
        return [public_jwk(key) | {"kid": kid, "use": "sig"} for kid, key in self.keys.items()]

    def claims(self, subject: str, **more: Any) -> Claims:
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "iat": now, "exp": now + 3600, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, subject: str = "ann", *, kid: str = "rsa", **more: Any) -> str:
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(self.claims(subject, **more), key, algorithm, {"kid": kid})  # type: ignore[arg-type]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        part = request.path.rpartition("/")[2]
        self.asked[part] += 1
        trouble = self.trouble.get(part)
        if isinstance(trouble, web.Response):
            return web.Response(status=trouble.status, body=trouble.body, headers=trouble.headers)
        if trouble is not None:
            await trouble.wait()
        answers: dict[str, Callable[[web.Request], web.Response]] = {
            "openid-configuration": lambda _: web.json_response(self._described()),
            "jwks": lambda _: web.json_response({"keys": self.published()}),
            "userinfo": self._userinfo,
        }
        return answers[part](request)

    def _described(self) -> Claims:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            **self.description,
        }

    def _userinfo(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        subject = jwt.decode(token, options={"verify_signature": False})["sub"]
        return web.json_response({"sub": subject, **self.known.get(subject, {})})


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/{path:.*}", issuer.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    issuer.url = f"http://{host}:{port}/realms/test"
    try:
        yield issuer
    finally:
        await runner.cleanup()


def public_jwk(key: PrivateKeyTypes) -> Claims:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def raw_token(header: object, payload: object, signature: bytes = b"") -> str:
    """Whatever it says."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))

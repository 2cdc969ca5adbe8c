"""A host that signs its own tokens: its keys, and the server that publishes them."""

import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from kernel.auth.jwt import TokenVerifier
from kernel.errors import UnauthenticatedError

SECRET = "s" * 40
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()

Jwk = dict[str, Any]


def jwk(algorithm: Any, key: Any, kid: str | None, **more: str) -> Jwk:
    """Describe the public half of a key."""
    described: Jwk = algorithm.to_jwk(key.public_key(), as_dict=True)
    described.pop("key_ops", None)
    return described | ({"kid": kid} if kid else {}) | more


RSA_JWK = jwk(RSAAlgorithm, RSA_KEY, "r1", alg="RS256", use="sig")
EC_JWK = jwk(ECAlgorithm, EC_KEY, "e1")
ED_JWK = jwk(OKPAlgorithm, ED_KEY, "d1")


class JwksServer:
    """A real HTTP server that serves what it is told to, and counts."""

    def __init__(self) -> None:
        self.url = ""
        self.fetches = 0
        self.keys: list[Any] = [RSA_JWK, EC_JWK, ED_JWK]
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self._keys

    async def _keys(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": self.keys})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.fetches += 1
        return await self.answer(request)

    def say(self, **response: Any) -> None:
        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(**response)

        self.answer = answer


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims, changed; None leaves one out."""
    merged = {"sub": "ana", "exp": int(time.time()) + 60} | changes
    return {name: value for name, value in merged.items() if value is not None}


def shared(headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Sign with the shared secret."""
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256", headers=headers)


def hosted(kid: str | None = "r1", key: Any = RSA_KEY, algorithm: str = "RS256", **changes: Any) -> str:
    """Sign as the host does."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Any, payload: Any, secret: bytes = SECRET.encode()) -> str:
    """Build a token by hand, with a genuine HMAC: libraries refuse to make the worst ones."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


async def refused(verifier: TokenVerifier, token: str) -> str:
    """Return why a token is refused; fails when it isn't."""
    with pytest.raises(UnauthenticatedError) as caught:
        await verifier.verify(token)
    return caught.value.detail

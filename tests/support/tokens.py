"""Tokens of every wrong kind, for servers whose secret is known."""

import base64
import hmac
import json
import time
from typing import Any

import jwt

from tests.support.servers import SECRET


def token(subject: object = "ana", *, lives_s: float = 300, secret: str = SECRET, **claims: Any) -> str:
    """Sign a token; good unless told otherwise."""
    payload = {"sub": subject, "exp": int(time.time() + lives_s), **claims}
    return jwt.encode(payload, secret, algorithm="HS256")


def wrong_tokens() -> dict[str, str]:
    """Return tokens for `ana` that must not be accepted, by what is wrong with them."""
    good = token()
    header, payload, signature = good.split(".")
    return {
        "not a token": "hello",
        "empty parts": "..",
        "expired": token(lives_s=-3600),
        "another secret": token(secret="another-secret-that-is-long-enough-0123456789"),
        "unsigned": f"{_part({'alg': 'none'})}.{payload}.",
        "unsigned, with the old signature": f"{_part({'alg': 'none'})}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "other claims": f"{header}.{_part({'sub': 'ben', 'exp': 9999999999})}.{signature}",
        "another algorithm": _hs512({"sub": "ana", "exp": 9999999999}),
        "no end": jwt.encode({"sub": "ana"}, SECRET, algorithm="HS256"),
        "no subject": jwt.encode({"exp": 9999999999}, SECRET, algorithm="HS256"),
        "an end beyond time": token(lives_s=1e12),
        "not yet": token(nbf=int(time.time()) + 3600),
        "an unknown role": token(role="owner"),
        "several roles": token(role=["user", "admin"]),
        "an unknown person": token("nobody"),
        "a subject that is no id": token("a b"),
        "a key of its own": jwt.encode(
            {"sub": "ana", "exp": 9999999999}, "k" * 40, algorithm="HS256", headers={"jwk": {"kty": "oct", "k": "a2s"}}
        ),
        "an API key that never was": "pk_" + "a" * 43,
        "half an API key": "pk_",
        "enormous": "e" * 9_000,
    }


def _hs512(claims: object) -> str:
    signed = f"{_part({'alg': 'HS512', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.digest(SECRET.encode(), signed.encode(), "sha512")
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

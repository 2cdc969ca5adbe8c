"""JSON Web Tokens (RFC 7519, with the advice of RFC 8725): HS256 with our secret, or the host's keys by JWKS.

The algorithm decides which key may verify, never the other way round: HS256 only ever meets the secret, and
the asymmetric ones only ever meet a JWKS key made for that algorithm.
"""

import hashlib
import re
import time
from collections import OrderedDict
from typing import Any, get_args

import jwt
import msgspec

from kernel.auth.jwks import KeySet
from kernel.auth.principal import Role
from kernel.errors import UnauthenticatedError

ASYMMETRIC = frozenset({"RS256", "ES256", "EdDSA"})
REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})
"""They bring a key of their own or change how the token is read. Others mean nothing to us."""
MAX_TOKEN_CHARS = 8192
CACHE_SIZE = 20_000
RECHECK_S = 300.0
"""A token is verified again this often, so that a key that the host withdrew stops counting."""
CLOCK_SKEW_S = 30
"""Tolerated between the host's clock and ours in `nbf` and `iat`; `exp` is exact."""
LATEST_EXP = 253_402_300_799
"""The end of the year 9999: later moments can't be written."""
SUBJECT = re.compile(r"\A[A-Za-z0-9._:@-]{1,64}\Z")


class Claims(msgspec.Struct, frozen=True):
    """What a verified token says."""

    sub: str
    exp: float
    role: Role = "user"


class TokenVerifier:
    """Verifies tokens, remembering those verified (by their hash) until they expire."""

    def __init__(
        self,
        *,
        secret: str | None,
        keys: KeySet | None = None,
        audience: str | None = None,
        issuer: str | None = None,
    ) -> None:
        self._secret = secret
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._verified: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """Return the claims of a token that is genuine, meant for us and not expired.

        Raises:
            UnauthenticatedError: anything else, without saying more than which rule failed.
            UnavailableError: the host's keys can't be fetched.
        """
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        recheck_at, claims = self._verified.get(digest, (0.0, None))
        if claims is None or recheck_at <= time.monotonic():
            claims = await self._verify(token)
            self._verified[digest] = (time.monotonic() + RECHECK_S, claims)
            if len(self._verified) > CACHE_SIZE:
                self._verified.popitem(last=False)
        if claims.exp <= time.time():
            raise UnauthenticatedError("The token has expired")
        return claims

    async def _verify(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN_CHARS:
            raise UnauthenticatedError(f"The token is longer than {MAX_TOKEN_CHARS} characters")
        try:
            header = jwt.get_unverified_header(token)
            payload = jwt.decode(
                token,
                await self._key_for(header),
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "sub"]},
            )
            return _claims(payload)
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("The token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise UnauthenticatedError(f"The token is not valid ({type(error).__name__})") from None

    async def _key_for(self, header: dict[str, Any]) -> Any:
        if set(header) & REFUSED_HEADERS:
            raise UnauthenticatedError("The token's header has fields that are not accepted")
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return self._secret
        if algorithm in ASYMMETRIC and self._keys is not None:
            return await self._keys.find(header.get("kid"), algorithm)
        raise UnauthenticatedError("The token's algorithm is not accepted")


def _claims(payload: dict[str, Any]) -> Claims:
    role = payload.get("role", "user")
    if not isinstance(payload["sub"], str) or not SUBJECT.match(payload["sub"]):
        raise UnauthenticatedError("The token's subject is not a user id")
    if role not in get_args(Role):
        raise UnauthenticatedError("The token's role is unknown")
    exp = float(payload["exp"])
    if exp > LATEST_EXP:
        raise UnauthenticatedError("The token's end is out of range")
    return Claims(sub=payload["sub"], exp=exp, role=role)


def sign(
    secret: str,
    claims: Claims,
    *,
    issued_at: int | None = None,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """Return an HS256 token with these claims, for hosts that don't sign themselves.

    The same arguments give the same token. `issued_at` is a Unix time in seconds; None: now.
    """
    issued_at = int(time.time()) if issued_at is None else issued_at
    payload: dict[str, Any] = {
        "sub": claims.sub,
        "exp": int(claims.exp),
        "iat": issued_at,
        "role": claims.role,
    }
    if audience:
        payload["aud"] = audience
    if issuer:
        payload["iss"] = issuer
    return jwt.encode(payload, secret, algorithm="HS256")

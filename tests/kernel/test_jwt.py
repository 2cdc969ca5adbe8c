"""Tokens of every wrong kind are refused; keys come from a real HTTP server."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from kernel.auth.jwks import KeySet
from kernel.auth.jwt import LATEST_EXP, MAX_TOKEN_CHARS, Claims, TokenVerifier, sign
from kernel.errors import UnauthenticatedError, UnavailableError

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


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    jwks = JwksServer()
    app = web.Application()
    app.router.add_get("/jwks", jwks.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    jwks.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield jwks
    await runner.cleanup()


@pytest.fixture
def remote(server: JwksServer) -> TokenVerifier:
    """Trusts the host's keys only."""
    return TokenVerifier(secret=None, keys=KeySet(server.url))


@pytest.fixture
def local() -> TokenVerifier:
    """Trusts the shared secret only."""
    return TokenVerifier(secret=SECRET)


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


# Good ones


async def test_what_we_sign_we_accept() -> None:
    verifier = TokenVerifier(secret=SECRET, audience="parley", issuer="host")
    wanted = Claims(sub="ana", exp=float(int(time.time()) + 60), role="admin")
    assert await verifier.verify(sign(SECRET, wanted, audience="parley", issuer="host")) == wanted


def test_the_same_grant_gives_the_same_token() -> None:
    one, two = (sign(SECRET, Claims(sub="ana", exp=9e9), issued_at=1_700_000_000) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"), [("r1", RSA_KEY, "RS256"), ("e1", EC_KEY, "ES256"), ("d1", ED_KEY, "EdDSA")]
)
async def test_the_hosts_tokens_are_accepted(
    remote: TokenVerifier, server: JwksServer, kid: str, key: Any, algorithm: str
) -> None:
    for role in ("user", "auditor"):
        assert (await remote.verify(hosted(kid, key, algorithm, role=role))).role == role
    assert server.fetches == 1


async def test_headers_that_identity_providers_add_are_ignored(local: TokenVerifier) -> None:
    assert (await local.verify(shared({"typ": "at+jwt", "x5t": "abc", "cat": "x"}))).sub == "ana"


async def test_a_host_whose_clock_is_ahead_is_forgiven_a_little(local: TokenVerifier) -> None:
    soon = int(time.time()) + 5
    assert (await local.verify(shared(iat=soon, nbf=soon))).sub == "ana"


# Algorithms and keys


OTHER_ALGORITHMS: list[object] = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    "HS384",
    "HS512",
    "RS384",
    "PS256",
    None,
    5,
    [],
]


@pytest.mark.parametrize("algorithm", OTHER_ALGORITHMS, ids=repr)
async def test_other_algorithms_are_refused(local: TokenVerifier, remote: TokenVerifier, algorithm: object) -> None:
    for verifier in (local, remote):
        token = forged({"alg": algorithm, "kid": "r1"}, claims())
        await refused(verifier, token)
        await refused(verifier, token.rpartition(".")[0] + ".")  # no signature at all


async def test_a_header_without_algorithm_is_refused(local: TokenVerifier) -> None:
    await refused(local, forged({"typ": "JWT"}, claims()))


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
async def test_a_public_key_is_no_hmac_secret(server: JwksServer, form: PublicFormat) -> None:
    """HS/RS confusion: the attacker signs by HMAC with the key that everybody can read."""
    both = TokenVerifier(secret=SECRET, keys=KeySet(server.url))
    for encoding in (Encoding.PEM, Encoding.DER):
        public = RSA_KEY.public_key().public_bytes(encoding, form)
        await refused(both, forged({"alg": "HS256", "kid": "r1"}, claims(), public))
        await refused(both, forged({"alg": "RS256", "kid": "r1"}, claims(), public))


async def test_the_secret_verifies_no_asymmetric_token(local: TokenVerifier) -> None:
    assert "algorithm" in await refused(local, hosted())


async def test_without_a_secret_hmac_is_refused(remote: TokenVerifier) -> None:
    assert "algorithm" in await refused(remote, shared({"kid": "r1"}))


async def test_a_symmetric_key_in_the_set_verifies_nothing(remote: TokenVerifier, server: JwksServer) -> None:
    server.keys = [{"kty": "oct", "kid": "o1", "k": b64(SECRET.encode())}]
    with pytest.raises(UnauthenticatedError):
        await remote.verify(forged({"alg": "HS256", "kid": "o1"}, claims()))
    await refused(remote, forged({"alg": "RS256", "kid": "o1"}, claims()))


@pytest.mark.parametrize(
    "wrong", [{"kid": "e1"}, {"kid": "d1"}, {"key": OTHER_RSA_KEY}, {"key": EC_KEY, "algorithm": "ES256"}]
)
async def test_a_key_counts_only_for_its_own_algorithm(remote: TokenVerifier, wrong: dict[str, Any]) -> None:
    assert (await remote.verify(hosted())).sub == "ana"
    await refused(remote, hosted(**wrong))


async def test_an_encryption_key_signs_nothing(remote: TokenVerifier, server: JwksServer) -> None:
    server.keys = [RSA_JWK | {"use": "enc"}]
    await refused(remote, hosted())


async def test_a_key_bound_to_another_algorithm_is_refused(remote: TokenVerifier, server: JwksServer) -> None:
    server.keys = [RSA_JWK | {"alg": "RS512"}]
    await refused(remote, hosted())


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"])
async def test_headers_that_bring_their_own_trust_are_refused(
    local: TokenVerifier, remote: TokenVerifier, server: JwksServer, name: str
) -> None:
    value = {"jku": server.url, "jwk": RSA_JWK, "crit": ["exp"], "b64": False}.get(name, "https://evil.example/key")
    await refused(local, forged({"alg": "HS256", name: value}, claims()))
    signed, _, _ = forged({"alg": "RS256", "kid": "r1", name: value}, claims()).rpartition(".")
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), RSA_KEY)
    await refused(remote, f"{signed}.{b64(signature)}")
    assert server.fetches == 0


# Claims


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": []},
        {"exp": {}},
        {"exp": True},
        {"exp": 0},
        {"exp": -1},
        {"exp": 1e400},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"exp": LATEST_EXP + 1},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": ["ana"]},
        {"sub": "a b"},
        {"sub": "ana\n"},
        {"sub": "ana\x00"},
        {"sub": "a" * 65},
        {"role": "root"},
        {"role": ["admin"]},
        {"role": {"admin": True}},
        {"role": "Admin"},
        {"nbf": 9_000_000_000},
        {"nbf": "later"},
        {"iat": 9_000_000_000},
        {"iat": "then"},
        {"aud": "parley"},
        {"aud": ["parley"]},
    ],
    ids=lambda changes: str(changes)[:40],
)
async def test_bad_claims_are_refused(local: TokenVerifier, changes: dict[str, Any]) -> None:
    await refused(local, forged({"alg": "HS256"}, claims(**changes)))


@pytest.mark.parametrize("ago", [0, 1, 20, 40])
async def test_an_expired_token_is_refused_without_leeway(local: TokenVerifier, ago: int) -> None:
    assert await refused(local, shared(exp=int(time.time()) - ago)) == "The token has expired"


async def test_a_token_in_use_expires_to_the_second(local: TokenVerifier) -> None:
    token = shared(exp=int(time.time()) + 2)
    assert (await local.verify(token)).sub == "ana"
    await asyncio.sleep(2.05)
    assert await refused(local, token) == "The token has expired"


@pytest.mark.parametrize("wrong", [None, "", "other", ["other"], [], 5, ["parley-x"], [5, "parley"], "parley\n"])
async def test_another_audience_or_none_is_refused(wrong: object) -> None:
    verifier = TokenVerifier(secret=SECRET, audience="parley")
    assert (await verifier.verify(shared(aud=["other", "parley"]))).sub == "ana"
    await refused(verifier, forged({"alg": "HS256"}, claims(aud=wrong)))


@pytest.mark.parametrize("wrong", [None, "", "other", ["host"], 5, "host\n", "https://host"], ids=repr)
async def test_another_issuer_or_none_is_refused(wrong: object) -> None:
    verifier = TokenVerifier(secret=SECRET, issuer="host")
    assert (await verifier.verify(shared(iss="host"))).sub == "ana"
    await refused(verifier, forged({"alg": "HS256"}, claims(iss=wrong)))


# Garbage


HEADERS: list[object] = [None, [], 5, {"alg": "HS256", "kid": 5}, {"alg": {"a": 1}}]
PAYLOADS: list[object] = [None, [], 5, "x", {}, {"sub": "ana"}]
GARBAGE = [
    *("", ".", "..", "...", "a.b.c", "null", "\x00", "\ud800", "é" * 50, "[" * 5000, "." * MAX_TOKEN_CHARS),
    *(f"{b64(part)}.e30.e30" for part in (b"null", b"[]", b"5", b'""', b"{", b"\xff", b"[" * 4000)),
    *(forged(header, {}) for header in HEADERS),
    *(forged({"alg": "HS256"}, payload) for payload in PAYLOADS),
]


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_refused(local: TokenVerifier, token: str) -> None:
    await refused(local, token)


async def test_a_huge_token_is_refused_before_it_is_read(local: TokenVerifier) -> None:
    assert "longer" in await refused(local, shared(pad="x" * MAX_TOKEN_CHARS))


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: f"{b64(data)}.{b64(data)}.{b64(data)}"))
async def test_random_text_is_refused(text: str) -> None:
    await refused(TokenVerifier(secret=SECRET), text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "role", "jti"]), JSON))
async def test_genuine_tokens_with_odd_claims_are_answered_not_crashed_on(odd: dict[str, Any]) -> None:
    try:
        found = await TokenVerifier(secret=SECRET).verify(forged({"alg": "HS256"}, odd))
    except UnauthenticatedError:
        return
    assert found.sub == odd["sub"]
    assert found.exp == float(odd["exp"]) > time.time()


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
async def test_one_changed_byte_breaks_a_token(position: int, flip: int) -> None:
    token = bytearray(shared(exp=4_000_000_000), "ascii")
    position %= len(token)
    token[position] ^= flip
    changed = token.decode("latin-1")
    if _decoded(changed) == _decoded(shared(exp=4_000_000_000)):
        return  # the unused low bits at the end of a base64 text say nothing
    await refused(TokenVerifier(secret=SECRET), changed)


def _decoded(token: str) -> list[bytes] | None:
    try:
        return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]
    except ValueError:
        return None


async def test_no_reason_quotes_the_token(local: TokenVerifier) -> None:
    secret_part = hashlib.sha256(b"x").hexdigest()
    for token in (shared(sub=secret_part * 2), shared(role=secret_part), secret_part, f"a.{secret_part}.c"):
        assert secret_part not in await refused(local, token)


# The key set


async def test_an_unknown_key_is_refetched_once_then_fails_closed(server: JwksServer) -> None:
    verifier = TokenVerifier(secret=None, keys=KeySet(server.url, cool_down_s=0.3))
    await verifier.verify(hosted())
    await asyncio.sleep(0.3)
    unknown = [hosted(f"new{n}", OTHER_RSA_KEY) for n in range(20)]
    await asyncio.gather(*(refused(verifier, token) for token in unknown))
    assert server.fetches == 2
    server.keys.append(jwk(RSAAlgorithm, OTHER_RSA_KEY, "new1"))
    await refused(verifier, unknown[1])
    assert server.fetches == 2
    await asyncio.sleep(0.3)
    assert (await verifier.verify(unknown[1])).sub == "ana"
    assert server.fetches == 3
    await verifier.verify(hosted(role="admin"))
    assert server.fetches == 3


async def test_a_withdrawn_key_dies(server: JwksServer) -> None:
    keys = KeySet(server.url, cool_down_s=0, max_age_s=0.2)
    await TokenVerifier(secret=None, keys=keys).verify(hosted())
    server.keys = [EC_JWK]
    await asyncio.sleep(0.2)
    await refused(TokenVerifier(secret=None, keys=keys), hosted())


async def test_known_keys_outlive_the_hosts_server(server: JwksServer) -> None:
    keys = KeySet(server.url, cool_down_s=0, max_age_s=0)
    await TokenVerifier(secret=None, keys=keys).verify(hosted())
    server.say(status=500)
    assert (await TokenVerifier(secret=None, keys=keys).verify(hosted())).sub == "ana"
    assert server.fetches == 2


async def test_a_token_without_kid_may_use_the_only_key_that_fits(remote: TokenVerifier, server: JwksServer) -> None:
    assert (await remote.verify(hosted(None))).sub == "ana"
    server.keys = [RSA_JWK, jwk(RSAAlgorithm, OTHER_RSA_KEY, "r2")]
    several = TokenVerifier(secret=None, keys=KeySet(server.url))
    assert "ambiguous" in await refused(several, hosted(None))


async def test_one_name_for_two_keys_is_ambiguous(remote: TokenVerifier, server: JwksServer) -> None:
    server.keys = [RSA_JWK, jwk(RSAAlgorithm, OTHER_RSA_KEY, "r1"), EC_JWK | {"kid": "r1"}]
    assert "ambiguous" in await refused(remote, hosted())
    assert "ambiguous" in await refused(remote, hosted("r1", OTHER_RSA_KEY))
    assert (await remote.verify(hosted("r1", EC_KEY, "ES256"))).sub == "ana"


async def test_keys_that_nobody_understands_are_passed_over(remote: TokenVerifier, server: JwksServer) -> None:
    server.keys = [
        None,
        5,
        [],
        {},
        {"kty": "RSA"},
        {"kty": []},
        {"kty": "RSA", "n": "!", "e": 5},
        {"kty": "NEW"},
    ]
    server.keys += [EC_JWK | {"crv": "P-999"}, EC_JWK | {"x": "AA"}, RSA_JWK | {"alg": ["RS256"]}, RSA_JWK]
    assert (await remote.verify(hosted())).sub == "ana"


@pytest.mark.parametrize(
    "response",
    [
        {"status": 500},
        {"status": 404, "text": "{}"},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"text": ""},
        {"text": "<html>"},
        {"text": "[]"},
        {"text": "{}"},
        {"text": '{"keys": null}'},
        {"text": '{"keys": {}}'},
        {"text": '{"keys": []}'},
        {"text": '{"keys": [{}]}'},
        {"text": '{"keys": ' + "[" * 100_000},
        {"body": b"\xff\xfe"},
        {"body": b" " * 300_000 + b"{}"},
    ],
    ids=lambda response: str(response)[:60],
)
async def test_without_any_keys_the_answer_is_come_back_later(
    remote: TokenVerifier, server: JwksServer, response: dict[str, Any]
) -> None:
    server.say(**response)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            await remote.verify(hosted())
        assert caught.value.retry_after_s == 30
    assert server.fetches == 1


async def test_a_server_that_is_down_is_survived() -> None:
    verifier = TokenVerifier(secret=None, keys=KeySet("http://127.0.0.1:1/jwks"))
    with pytest.raises(UnavailableError):
        await verifier.verify(hosted())


async def test_a_server_that_hangs_is_given_up(
    remote: TokenVerifier, server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    server.answer = trickle
    monkeypatch.setattr("kernel.auth.jwks.FETCH_TIMEOUT_S", 0.3)
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        await remote.verify(hosted())
    assert time.monotonic() - started < 2

"""Tokens of every wrong kind are refused; keys come from a real HTTP key_server."""

import asyncio
import base64
import hashlib
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from kernel.auth.jwks import KeySet
from kernel.auth.jwt import LATEST_EXP, MAX_TOKEN_CHARS, Claims, TokenVerifier, sign
from kernel.errors import UnauthenticatedError
from tests.support.jwks import (
    EC_KEY,
    ED_KEY,
    OTHER_RSA_KEY,
    RSA_JWK,
    RSA_KEY,
    SECRET,
    JwksServer,
    b64,
    claims,
    forged,
    hosted,
    refused,
    shared,
)

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
    remote: TokenVerifier, key_server: JwksServer, kid: str, key: Any, algorithm: str
) -> None:
    for role in ("user", "auditor"):
        assert (await remote.verify(hosted(kid, key, algorithm, role=role))).role == role
    assert key_server.fetches == 1


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
async def test_a_public_key_is_no_hmac_secret(key_server: JwksServer, form: PublicFormat) -> None:
    """HS/RS confusion: the attacker signs by HMAC with the key that everybody can read."""
    both = TokenVerifier(secret=SECRET, keys=KeySet(key_server.url))
    for encoding in (Encoding.PEM, Encoding.DER):
        public = RSA_KEY.public_key().public_bytes(encoding, form)
        await refused(both, forged({"alg": "HS256", "kid": "r1"}, claims(), public))
        await refused(both, forged({"alg": "RS256", "kid": "r1"}, claims(), public))


async def test_the_secret_verifies_no_asymmetric_token(local: TokenVerifier) -> None:
    assert "algorithm" in await refused(local, hosted())


async def test_without_a_secret_hmac_is_refused(remote: TokenVerifier) -> None:
    assert "algorithm" in await refused(remote, shared({"kid": "r1"}))


async def test_a_symmetric_key_in_the_set_verifies_nothing(remote: TokenVerifier, key_server: JwksServer) -> None:
    key_server.keys = [{"kty": "oct", "kid": "o1", "k": b64(SECRET.encode())}]
    with pytest.raises(UnauthenticatedError):
        await remote.verify(forged({"alg": "HS256", "kid": "o1"}, claims()))
    await refused(remote, forged({"alg": "RS256", "kid": "o1"}, claims()))


@pytest.mark.parametrize(
    "wrong", [{"kid": "e1"}, {"kid": "d1"}, {"key": OTHER_RSA_KEY}, {"key": EC_KEY, "algorithm": "ES256"}]
)
async def test_a_key_counts_only_for_its_own_algorithm(remote: TokenVerifier, wrong: dict[str, Any]) -> None:
    assert (await remote.verify(hosted())).sub == "ana"
    await refused(remote, hosted(**wrong))


async def test_an_encryption_key_signs_nothing(remote: TokenVerifier, key_server: JwksServer) -> None:
    key_server.keys = [RSA_JWK | {"use": "enc"}]
    await refused(remote, hosted())


async def test_a_key_bound_to_another_algorithm_is_refused(remote: TokenVerifier, key_server: JwksServer) -> None:
    key_server.keys = [RSA_JWK | {"alg": "RS512"}]
    await refused(remote, hosted())


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"])
async def test_headers_that_bring_their_own_trust_are_refused(
    local: TokenVerifier, remote: TokenVerifier, key_server: JwksServer, name: str
) -> None:
    value = {"jku": key_server.url, "jwk": RSA_JWK, "crit": ["exp"], "b64": False}.get(name, "https://evil.example/key")
    await refused(local, forged({"alg": "HS256", name: value}, claims()))
    signed, _, _ = forged({"alg": "RS256", "kid": "r1", name: value}, claims()).rpartition(".")
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), RSA_KEY)
    await refused(remote, f"{signed}.{b64(signature)}")
    assert key_server.fetches == 0


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

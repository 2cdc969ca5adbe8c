"""Keys by JWKS: fetched when needed, refetched with restraint, given up in time."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web
from jwt.algorithms import RSAAlgorithm

from kernel.auth.jwks import KeySet
from kernel.auth.jwt import TokenVerifier
from kernel.errors import UnavailableError
from tests.support.jwks import EC_JWK, EC_KEY, OTHER_RSA_KEY, RSA_JWK, JwksServer, hosted, jwk, refused


async def test_an_unknown_key_is_refetched_once_then_fails_closed(key_server: JwksServer) -> None:
    verifier = TokenVerifier(secret=None, keys=KeySet(key_server.url, cool_down_s=0.3))
    await verifier.verify(hosted())
    await asyncio.sleep(0.3)
    unknown = [hosted(f"new{n}", OTHER_RSA_KEY) for n in range(20)]
    await asyncio.gather(*(refused(verifier, token) for token in unknown))
    assert key_server.fetches == 2
    key_server.keys.append(jwk(RSAAlgorithm, OTHER_RSA_KEY, "new1"))
    await refused(verifier, unknown[1])
    assert key_server.fetches == 2
    await asyncio.sleep(0.3)
    assert (await verifier.verify(unknown[1])).sub == "ana"
    assert key_server.fetches == 3
    await verifier.verify(hosted(role="admin"))
    assert key_server.fetches == 3


async def test_a_withdrawn_key_dies(key_server: JwksServer) -> None:
    keys = KeySet(key_server.url, cool_down_s=0, max_age_s=0.2)
    await TokenVerifier(secret=None, keys=keys).verify(hosted())
    key_server.keys = [EC_JWK]
    await asyncio.sleep(0.2)
    await refused(TokenVerifier(secret=None, keys=keys), hosted())


async def test_known_keys_outlive_the_hosts_server(key_server: JwksServer) -> None:
    keys = KeySet(key_server.url, cool_down_s=0, max_age_s=0)
    await TokenVerifier(secret=None, keys=keys).verify(hosted())
    key_server.say(status=500)
    assert (await TokenVerifier(secret=None, keys=keys).verify(hosted())).sub == "ana"
    assert key_server.fetches == 2


async def test_a_token_without_kid_may_use_the_only_key_that_fits(
    remote: TokenVerifier, key_server: JwksServer
) -> None:
    assert (await remote.verify(hosted(None))).sub == "ana"
    key_server.keys = [RSA_JWK, jwk(RSAAlgorithm, OTHER_RSA_KEY, "r2")]
    several = TokenVerifier(secret=None, keys=KeySet(key_server.url))
    assert "ambiguous" in await refused(several, hosted(None))


async def test_one_name_for_two_keys_is_ambiguous(remote: TokenVerifier, key_server: JwksServer) -> None:
    key_server.keys = [RSA_JWK, jwk(RSAAlgorithm, OTHER_RSA_KEY, "r1"), EC_JWK | {"kid": "r1"}]
    assert "ambiguous" in await refused(remote, hosted())
    assert "ambiguous" in await refused(remote, hosted("r1", OTHER_RSA_KEY))
    assert (await remote.verify(hosted("r1", EC_KEY, "ES256"))).sub == "ana"


async def test_keys_that_nobody_understands_are_passed_over(remote: TokenVerifier, key_server: JwksServer) -> None:
    key_server.keys = [
        None,
        5,
        [],
        {},
        {"kty": "RSA"},
        {"kty": []},
        {"kty": "RSA", "n": "!", "e": 5},
        {"kty": "NEW"},
    ]
    key_server.keys += [EC_JWK | {"crv": "P-999"}, EC_JWK | {"x": "AA"}, RSA_JWK | {"alg": ["RS256"]}, RSA_JWK]
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
    remote: TokenVerifier, key_server: JwksServer, response: dict[str, Any]
) -> None:
    key_server.say(**response)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            await remote.verify(hosted())
        assert caught.value.retry_after_s == 30
    assert key_server.fetches == 1


async def test_a_server_that_is_down_is_survived() -> None:
    verifier = TokenVerifier(secret=None, keys=KeySet("http://127.0.0.1:1/jwks"))
    with pytest.raises(UnavailableError):
        await verifier.verify(hosted())


async def test_a_server_that_hangs_is_given_up(
    remote: TokenVerifier, key_server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    key_server.answer = trickle
    monkeypatch.setattr("kernel.auth.jwks.FETCH_TIMEOUT_S", 0.3)
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        await remote.verify(hosted())
    assert time.monotonic() - started < 2

"""The guarded client against real servers: what it reaches, what it doesn't, and what it says when it fails."""

import asyncio
import io
import socket
import ssl
import time

import aiohttp
import pytest
from aiohttp import web

from kernel.egress.client import MAX_BODY_BYTES, Egress, NotSent, Unclear
from kernel.egress.policy import NotAllowed, Policy
from kernel.errors import MalformedError
from kernel.telemetry import logging
from tests.kernel.egress.conftest import INSIDE, OUTSIDE, Listener, Names, listening
from tests.support.tls import Authority

URL = "https://hooks.example/a%2Fb/../c?x=%41"


async def post(egress: Egress, url: str = URL) -> int:
    return (await egress.post(url, body=b"hello", headers={"TTL": "60"})).status


async def test_a_public_host_is_reached_with_the_url_as_it_was_named(egress: Egress, outside: Listener) -> None:
    answer = await egress.post(URL, body=b"hello", headers={"TTL": "60"})
    assert (answer.status, answer.body, answer.complete) == (201, b"taken", True)
    assert answer.headers["CONTENT-type"].startswith("text/plain")
    [(path, headers, body)] = outside.requests
    assert (path, body) == ("/a%2Fb/../c?x=%41", b"hello")
    assert (headers["Host"], headers["TTL"], headers["Accept-Encoding"]) == ("hooks.example", "60", "identity")


async def test_connections_are_used_again(egress: Egress, outside: Listener) -> None:
    for _ in range(3):
        assert await post(egress) == 201
    assert outside.connections == 1


async def test_a_name_that_leads_inside_is_refused_when_named_and_when_called(
    egress: Egress, names: Names, inside: Listener
) -> None:
    for answers in ([inside.address], [(OUTSIDE, 1), inside.address], [("::1", 1)], [("::ffff:127.0.0.2", 1)]):
        names.answers["rebound.example"] = [answers]
        with pytest.raises(MalformedError) as refused:
            await egress.check("https://rebound.example/", "/url")
        assert [error.pointer for error in refused.value.errors or []] == ["/url"]
        with pytest.raises(NotAllowed):
            await post(egress, "https://rebound.example/")
    assert inside.connections == 0


async def test_a_name_that_leads_inside_later_is_refused_then(
    egress: Egress, names: Names, outside: Listener, inside: Listener
) -> None:
    names.answers["hooks.example"] = [[outside.address], [outside.address], [inside.address]]
    await egress.check(URL, "/url")
    assert await post(egress) == 201
    await egress.close()  # connections that were checked may live on; new ones are checked anew
    with pytest.raises(NotAllowed):
        await post(egress)
    assert (len(outside.requests), inside.connections) == (1, 0)


async def test_the_suite_catches_a_client_that_only_looks_when_a_url_is_named(names: Names, inside: Listener) -> None:
    """The broken variant: the name is looked up again by the one who connects, and nobody looks at what comes."""
    names.answers["hooks.example"] = [[(OUTSIDE, 1)], [inside.address]]
    policy = Policy(anywhere=True, admits=lambda address: address == OUTSIDE)
    careful = Egress(policy, resolver=names)
    await careful.check("https://hooks.example/", "/url")
    connector = aiohttp.TCPConnector(resolver=names, use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as http:
        with pytest.raises(aiohttp.ClientError):
            await http.post("https://hooks.example/")
    assert inside.connections == 1


async def test_the_last_look_is_at_the_socket(egress: Egress, inside: Listener) -> None:
    """Even if a URL and a resolver had fooled us: nothing connects to an address that isn't admitted."""
    session = egress._session(trusted=False)
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.post(inside.url)
    assert inside.connections == 0


async def test_redirects_are_not_followed(egress: Egress, outside: Listener, inside: Listener) -> None:
    async def away(_request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{inside.url}/secrets")

    outside.answer = away
    assert await post(egress) == 307
    assert (len(outside.requests), inside.connections) == (1, 0)


async def test_a_listed_origin_is_trusted_and_nothing_beside_it(inside: Listener) -> None:
    egress = Egress(Policy([inside.url]))
    await egress.check(f"{inside.url}/hook", "/url")
    assert await post(egress, f"{inside.url}/hook") == 201
    port = inside.address[1]
    for url in (f"http://localhost:{port}/", f"http://{OUTSIDE}:{port}/", f"https://{INSIDE}:{port}/"):
        with pytest.raises(NotAllowed):
            await post(egress, url)
    await egress.close()


async def test_the_environment_has_no_say(
    egress: Egress, outside: Listener, inside: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url)
    assert await post(egress) == 201
    assert inside.connections == 0


async def test_cookies_are_not_kept(egress: Egress, outside: Listener) -> None:
    async def bake(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Set-Cookie": "a=b; Path=/"})

    outside.answer = bake
    await post(egress)
    await post(egress)
    assert "Cookie" not in outside.requests[1][1]


async def test_no_more_of_an_answer_is_read_than_is_wanted(egress: Egress, outside: Listener) -> None:
    async def flood(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 100_000)
        except ConnectionError:
            return response

    outside.answer = flood
    answer = await egress.post(URL, body=b"", headers={})
    assert (answer.status, len(answer.body), answer.complete) == (200, MAX_BODY_BYTES, False)


async def test_a_status_counts_though_its_body_never_ends(egress: Egress, outside: Listener) -> None:
    async def trickle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=410)
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    outside.answer = trickle
    started = time.monotonic()
    answer = await egress.post(URL, body=b"", headers={})
    assert (answer.status, answer.complete) == (410, False)
    assert time.monotonic() - started < 3


async def test_no_answer_in_time_is_unclear(egress: Egress, outside: Listener) -> None:
    async def hang(_request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    outside.answer = hang
    with pytest.raises(Unclear) as caught:
        await post(egress)
    assert caught.value.reason == "timeout"


async def test_a_connection_that_breaks_is_unclear_and_not_tried_again(egress: Egress, outside: Listener) -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    assert await post(egress) == 201
    outside.answer = cut
    with pytest.raises(Unclear) as caught:
        await post(egress)
    assert caught.value.reason == "connection_lost"
    assert len(outside.requests) == 2


async def test_nonsense_is_unclear(authority: Authority, egress: Egress, names: Names) -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"what?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, OUTSIDE, 0, ssl=authority.server("hooks.example"))
    names.answers["hooks.example"] = [[server.sockets[0].getsockname()[:2]]]
    with pytest.raises(Unclear):
        await post(egress)
    server.close()


async def test_nobody_listening_means_not_sent(egress: Egress, names: Names) -> None:
    with socket.socket() as free:
        free.bind((OUTSIDE, 0))
        names.answers["hooks.example"] = [[free.getsockname()]]
        with pytest.raises(NotSent) as caught:
            await post(egress)
    assert caught.value.reason == "no_connection"


async def test_an_unknown_host_means_not_sent_and_is_refused_when_named(egress: Egress) -> None:
    with pytest.raises(NotSent):
        await post(egress, "https://nobody.example/")
    with pytest.raises(MalformedError) as refused:
        await egress.check("https://nobody.example/", "/url")
    assert "can't be found" in refused.value.detail


async def test_a_name_server_that_hangs_means_not_sent(
    egress: Egress, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> list[object]:
        await asyncio.sleep(30)
        return []

    monkeypatch.setattr("kernel.egress.client.LOOK_UP_TIMEOUT_S", 0.1)
    monkeypatch.setattr(names, "resolve", hang)
    with pytest.raises(NotSent) as caught:
        await post(egress)
    assert caught.value.reason == "timeout"
    with pytest.raises(MalformedError):
        await egress.check(URL, "/url")


async def test_a_host_that_takes_no_connection_means_not_sent(egress: Egress, names: Names) -> None:
    """Somebody accepts, and never shakes hands."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, OUTSIDE, 0)
    names.answers["hooks.example"] = [[server.sockets[0].getsockname()[:2]]]
    with pytest.raises(NotSent) as caught:
        await post(egress)
    assert caught.value.reason == "timeout"
    server.close()


async def test_another_certificate_means_not_sent(
    egress: Egress, authority: Authority, names: Names, outside: Listener
) -> None:
    names.answers["wrong.example"] = [[outside.address]]
    with pytest.raises(NotSent) as caught:
        await post(egress, "https://wrong.example/")
    assert caught.value.reason == "tls_failed"
    strangers = Egress(Policy(anywhere=True, admits=lambda _: True), resolver=names, tls=ssl.create_default_context())
    with pytest.raises(NotSent):
        await post(strangers)
    await strangers.close()
    assert outside.requests == []


async def test_many_at_once_and_closing_twice(egress: Egress, outside: Listener) -> None:
    assert await asyncio.gather(*(post(egress) for _ in range(50))) == [201] * 50
    await egress.close()
    await egress.close()
    assert await post(egress) == 201


async def test_urls_are_in_no_log_and_in_no_error(egress: Egress, names: Names) -> None:
    logs = io.StringIO()
    logging.configure("debug", to=logs)
    async with listening(OUTSIDE) as plain:
        names.answers["secret.example"] = [[plain.address]]
        for url in ("https://secret.example/token", "https://nobody-secret.example/token", "https://10.0.0.1/token"):
            with pytest.raises((NotSent, NotAllowed, Unclear)) as caught:
                await post(egress, url)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
            assert "secret" not in str(caught.value)
    assert "secret" not in logs.getvalue()
    assert "token" not in logs.getvalue()

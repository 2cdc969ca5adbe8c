"""What a host's front end on another origin may do from a browser, and HEAD."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.typing import Origin

from tests.support.chat import chat
from tests.support.databases import Databases
from tests.support.servers import Host, Server, running_server

SHOP, FOREIGN = "https://shop.example", "https://shop.example.evil.example"
ALLOW_ORIGIN = "access-control-allow-origin"


@pytest.fixture(scope="module")
def shop(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets in the pages of two shops."""
    origins = f"{SHOP},http://localhost:5173"
    with (
        postgres.fresh() as dsn,
        running_server(dsn, tmp_path_factory.mktemp("shop"), PARLEY_ALLOWED_ORIGINS=origins) as server,
    ):
        yield server


def preflight(server: Server, origin: str, *, method: str = "POST", path: str = "/api/tokens") -> httpx.Response:
    """Ask as a browser does before a page's own request: without credentials."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return httpx.options(server.url + path, headers=asked, trust_env=False)


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_page_of_an_allowed_origin_may_call(shop: Server, origin: str, method: str) -> None:
    answer = preflight(shop, origin, method=method)
    assert answer.status_code == 204
    assert answer.headers[ALLOW_ORIGIN] == origin
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key", "x-request-id"))
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [FOREIGN, "http://shop.example", f"{SHOP}:8443", "null", "https://xshop.example"])
def test_a_page_of_any_other_origin_gets_nothing(shop: Server, origin: str) -> None:
    assert preflight(shop, origin).status_code == 400
    for answer in (
        preflight(shop, origin),
        httpx.get(f"{shop.url}/problems", headers={"Origin": origin}, trust_env=False),
    ):
        assert ALLOW_ORIGIN not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


def test_a_page_may_read_answers_refusals_and_their_headers(shop: Server) -> None:
    for path, status in (("/problems", 200), ("/api/users/me", 401), ("/nothing", 404)):
        answer = httpx.get(shop.url + path, headers={"Origin": SHOP}, trust_env=False)
        assert answer.status_code == status
        assert answer.headers[ALLOW_ORIGIN] == SHOP
        assert answer.headers["access-control-expose-headers"] == "Retry-After, X-Request-Id"
        assert "access-control-allow-credentials" not in answer.headers


async def test_sockets_are_for_pages_of_the_allowed_origins_and_of_the_public_url(dsn: str, tmp_path: Path) -> None:
    asked = {"PARLEY_ALLOWED_ORIGINS": SHOP, "PARLEY_PUBLIC_URL": "https://Chat.Shop.example:443/base"}
    with running_server(dsn, tmp_path, **asked) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        token = host.user("ana")
        for origin in (SHOP, "https://chat.shop.example"):
            async with chat(server.ws_url, token, origin=origin) as socket:
                assert socket.ready["user_id"] == "ana"
        async with websockets.connect(server.ws_url, proxy=None, origin=Origin(FOREIGN)) as refused:
            await refused.wait_closed()
        assert refused.close_code == 4403


def test_without_allowed_origins_no_other_page_gets_in(host: Host) -> None:
    assert ALLOW_ORIGIN not in preflight(host.server, SHOP).headers
    answer = httpx.get(f"{host.server.url}/problems", headers={"Origin": SHOP}, trust_env=False)
    assert ALLOW_ORIGIN not in answer.headers


@pytest.mark.parametrize("path", ["/health/live", "/schema", "/problems", "/metrics", "/nothing", "/api/users/me"])
def test_head_is_get_without_a_body(host: Host, path: str) -> None:
    whole = httpx.get(host.server.url + path, trust_env=False)
    head = httpx.head(host.server.url + path, trust_env=False)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers.keys() == whole.headers.keys()
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_head_where_there_is_no_get_is_refused(host: Host) -> None:
    answer = httpx.head(f"{host.server.url}/api/tokens", trust_env=False)
    assert answer.status_code == 405
    assert "HEAD" not in answer.headers["allow"]
    assert "HEAD" in httpx.patch(f"{host.server.url}/api/users/me", trust_env=False).headers["allow"]


@pytest.mark.parametrize("origin", ["https://*.shop.example", "shop.example", "https://shop.example/", "https://a@b.c"])
def test_an_origin_that_no_browser_would_send_is_refused_at_the_start(dsn: str, tmp_path: Path, origin: str) -> None:
    with (
        pytest.raises(AssertionError, match="PARLEY_ALLOWED_ORIGINS"),
        running_server(dsn, tmp_path, PARLEY_ALLOWED_ORIGINS=origin),
    ):
        pass

"""Every answer is a documented one: with a request id, and a problem when it isn't a success."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers import Host


@pytest.fixture
def anybody(host: Host) -> Iterator[httpx.Client]:
    """Somebody without credentials."""
    with httpx.Client(base_url=host.server.url, trust_env=False) as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/metrics", 200),
        ("GET", "/schema", 200),
        ("GET", "/schema/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/api/channels/not-an-id/log", 404),
        ("GET", "/api/users/me", 401),
        ("PATCH", "/api/users/me", 405),
        ("PROPFIND", "/api/users/me", 405),
        ("GET", "/ws/chat", 404),
    ],
)
def test_every_answer_carries_a_request_id(anybody: httpx.Client, method: str, path: str, status: int) -> None:
    answer = anybody.request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-request-id"]
    assert len(answer.headers.get_list("x-request-id")) == 1
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["type"].startswith("/problems/")
        assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_sane_request_id_of_the_caller_is_kept_and_another_is_not(anybody: httpx.Client) -> None:
    assert anybody.get("/nothing", headers={"X-Request-ID": "theirs-1"}).headers["x-request-id"] == "theirs-1"
    for bad in ("two words", "x" * 65, "\xe4", "'; drop table"):
        answer = anybody.get("/nothing", headers=[(b"X-Request-ID", bad.encode("latin-1"))])
        assert len(answer.headers["x-request-id"]) == 36


def test_a_wrong_method_is_told_the_right_ones(anybody: httpx.Client) -> None:
    answer = anybody.patch("/api/tokens")
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"OPTIONS", "POST"}
    assert answer.json()["type"] == "/problems/method-not-allowed"


def test_a_body_over_the_limit_is_told_the_limit(host: Host) -> None:
    body = b'{"user_id": "' + b"a" * 1024 * 1024 + b'"}'
    for content in (body, iter([body])):  # with a length, and in chunks without one
        answer = host.http.post("/api/tokens", content=content)
        assert answer.status_code == 413
        assert "1048576 bytes" in answer.json()["detail"]


def test_a_compressed_body_is_refused(host: Host) -> None:
    body = gzip.compress(json.dumps({"user_id": "ana"}).encode())
    answer = host.http.post("/api/tokens", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "Content-Encoding" in answer.json()["detail"]


@pytest.mark.parametrize("said", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_a_body_is_read_as_json_whatever_it_is_said_to_be(host: Host, said: str) -> None:
    """A form is what curl says by default; credentials are in a header, so that no page's form can misuse this."""
    host.user("typed")
    headers = {"Content-Type": said}
    assert host.http.post("/api/tokens", content=b'{"user_id": "typed"}', headers=headers).status_code == 201
    refused = host.http.post("/api/tokens", content=b"user_id=typed", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/malformed")
    files = {"user_id": ("a.txt", b"typed")}
    assert host.http.post("/api/tokens", files=files).status_code == 400


def test_a_bad_header_is_named_as_it_is_called_outside(host: Host) -> None:
    header = (b"Idempotency-Key", b"\xe9")
    answer = host.http.post("/api/tokens", json={"user_id": "ana"}, headers=[header])
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"pointer": "Idempotency-Key:", "message": "must be printable ASCII"}]

"""What operators see: logs that quote nothing, metrics whose labels are bounded, health that tells the truth."""

import io
import json
import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from kernel import embedded, migrate
from kernel.embedded import server as embedded_server
from kernel.embedded.account import hand_over, server_account
from kernel.embedded.cluster import ensure_cluster
from kernel.embedded.install import binaries_for
from kernel.embedded.place import Place
from kernel.telemetry.logging import configure
from tests.support.databases import execute
from tests.support.servers import PARLEY, ROOT, Host, Server, environment, running_server

PATIENCE_S = 15

# Logs


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Where a process that is configured as a server logs to."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    to = io.StringIO()
    try:
        configure("debug", to=to)
        yield to
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.configure(**before)


def lines(log: io.StringIO) -> list[Any]:
    """Return what was logged."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def fail(words: str) -> None:
    """Fail, with a cause."""
    try:
        int(words)
    except ValueError as cause:
        raise RuntimeError(words) from cause


@pytest.mark.parametrize("logger", ["ours", "a library's"])
def test_an_exception_is_told_by_its_kind_and_place_without_its_words(log: io.StringIO, logger: str) -> None:
    try:
        fail("somebody's words")
    except RuntimeError:
        if logger == "ours":
            structlog.get_logger().exception("failed", channel="c1")
        else:
            logging.getLogger("library").exception("failed")
    (line,) = lines(log)
    assert (line["event"], line["level"]) == ("failed", "error")
    told = " ".join(line["exception"])
    assert "RuntimeError" in told
    assert "ValueError" in told
    assert "fail" in told
    assert "somebody's words" not in log.getvalue()


def test_what_is_bound_to_a_request_is_in_its_lines_only(log: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("within")
    structlog.get_logger().info("without")
    assert [line.get("request_id") for line in lines(log)] == ["r1", None]
    assert all(line["timestamp"].endswith("Z") for line in lines(log))


def test_libraries_that_print_addresses_are_heard_from_warnings_on(log: io.StringIO) -> None:
    for name in ("uvicorn.access", "uvicorn.error", "websockets.server", "aiohttp.access", "twilio.http_client"):
        logging.getLogger(name).info("GET /ws/chat?token=secret")
    assert log.getvalue() == ""


def test_every_request_is_one_line_with_its_id_and_route(host: Host) -> None:
    request_id, path = uuid4().hex, f"/api/channels/{uuid4()}/log"
    host.http.get(path, params={"after_seq": "1"}, headers={"X-Request-ID": request_id})
    (line,) = told_of(host.server, request_id)
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/channels/{channel_id}/log", 403)
    assert line["ms"] > 0


def told_of(server: Server, request_id: str) -> list[Any]:
    """Return a request's lines; they are written a moment after its answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := [line for line in server.log.read_text().splitlines() if request_id in line]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [json.loads(line) for line in found]


# Metrics


def metrics(server: Server) -> dict[str, Any]:
    """Return the families, parsed as Prometheus does."""
    answer = httpx.get(f"{server.url}/metrics", trust_env=False)
    assert answer.headers["content-type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def test_metrics_have_bounded_labels_whatever_is_asked(host: Host) -> None:
    host.user("ana")
    strange = ["/" + uuid4().hex for _ in range(5)] + [
        f"/api/channels/{uuid4()}/log",
        f"/api/contexts/booking/{uuid4()}",
    ]
    with host.person(host.token("ana")) as http:
        for path in [*strange, f"/api/users/{uuid4().hex}", "/api/users/me"]:
            for method in ("GET", "PUT", "DELETE", "PROPFIND", "LOCK"):
                http.request(method, path)
    families = metrics(host.server)
    published = httpx.get(f"{host.server.url}/schema", trust_env=False).json()["paths"].keys()
    for family in families.values():
        for sample in family.samples:
            assert not any(
                str(value) in path for value in sample.labels.values() for path in strange if len(value) > 20
            )
    requests = [sample.labels for sample in families["parley_http_request_seconds"].samples if sample.labels]
    routes = {labels["route"] for labels in requests}
    assert routes <= {*published, "unmatched", "/schema", "/schema/openapi.json", "/metrics"}
    assert {"unmatched", "/api/users/me", "/api/channels/{channel_id}/log"} <= routes
    assert {labels["method"] for labels in requests} <= {"GET", "PUT", "POST", "DELETE", "other"}
    assert {"parley_sockets", "parley_writer_commit_seconds", "parley_outbox_age_seconds"} <= families.keys()


# Health


def health(server: Server) -> tuple[int, Any, int]:
    """Return what readiness says, its checks, and what liveness says."""
    ready = httpx.get(f"{server.url}/health/ready", trust_env=False, timeout=10)
    live = httpx.get(f"{server.url}/health/live", trust_env=False, timeout=10)
    if ready.status_code != 200:
        assert int(ready.headers["retry-after"]) > 0
    return ready.status_code, ready.json()["checks"], live.status_code


def becomes(server: Server, status: int) -> Any:
    """Wait until readiness is so; liveness stays. Returns the checks."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ready, checks, live = health(server)
        assert live == 200
        if ready == status:
            return checks
        assert time.monotonic() < deadline, checks
        time.sleep(0.05)


async def test_pending_migrations_make_it_unready_and_it_recovers(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        assert becomes(server, 200) == {"server": "ok", "database": "ok", "outbox": "ok"}
        await migrate.downgrade(dsn, "0003_messaging")
        assert becomes(server, 503)["database"] == "migrations are pending"
        await migrate.upgrade(dsn)
        becomes(server, 200)


def test_without_postgresql_it_is_unready_answers_so_and_recovers_by_itself(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster"
    with ExitStack() as postgres:
        dsn = postgres.enter_context(embedded.running(cluster))
        with running_server(dsn, tmp_path / "server") as server:
            host = Host(server, server.cli("keys", "create", "tests"))
            with host.http, host.person(host.user("ana")) as http:
                assert http.get("/api/users/me").status_code == 200
                postgres.close()
                assert becomes(server, 503)["database"] != "ok"
                for answer in (http.get("/api/users/me"), host.http.get("/api/contexts/booking/b1")):
                    assert answer.status_code == 503
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert int(answer.headers["retry-after"]) > 0
                postgres.enter_context(embedded.running(cluster))
                becomes(server, 200)
                assert http.get("/api/users/me").status_code == 200


# Durability


def refusal(dsn: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a server in production mode and return what it says when it gives up."""
    production = {"PARLEY_ENV": "production", "PARLEY_PUBLIC_URL": "https://parley.example"} | settings
    command = [PARLEY, "serve", "--port", "0"]
    given = environment(dsn, folder, **production)
    return subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


async def test_production_refuses_a_database_that_commits_without_waiting(dsn: str, tmp_path: Path) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    await execute(dsn, f"ALTER DATABASE {name} SET synchronous_commit = off")
    refused = refusal(dsn, tmp_path)
    assert refused.returncode == 2
    assert "synchronous_commit=off" in refused.stderr
    with running_server(dsn, tmp_path) as server:  # development says so and goes on
        assert '"not_durable"' in server.log.read_text()


def test_a_database_that_lets_nobody_in_is_told_in_a_sentence(dsn: str, tmp_path: Path) -> None:
    for url in ("postgresql://ana:hunter2@127.0.0.1:1/parley", dsn.replace("/test_", "/no_test_")):
        refused = refusal(url, tmp_path)
        assert refused.returncode == 2
        assert refused.stderr.startswith("parley: PostgreSQL doesn't let us in: ")
        assert len(refused.stderr.splitlines()) == 1
        assert "hunter2" not in refused.stderr


@contextmanager
def cluster_without(setting: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a cluster that was told to forget on a power cut."""
    monkeypatch.setitem(embedded_server.SETTINGS, setting, "off")
    folder.mkdir()
    place = Place.at(folder)
    account = server_account(place)
    hand_over(folder, account)
    binaries = binaries_for(account, place)
    ensure_cluster(place, binaries, account)
    process = embedded_server.launch(place, binaries, account)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not embedded_server.answers(place):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield place.dsn
    finally:
        embedded_server.stop(process)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_production_refuses_a_database_that_a_power_cut_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    with cluster_without(setting, tmp_path / "cluster", monkeypatch) as dsn:
        refused = refusal(dsn, tmp_path)
    assert refused.returncode == 2
    assert f"{setting}=off" in refused.stderr

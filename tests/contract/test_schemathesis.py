"""Schemathesis reads the published document and tries the server with what it allows and with what it forbids."""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.servers import Host

SEED = "20261120"
EXAMPLES = "10"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
    "ignored_auth",
)
"""All but those that take a rule for a schema's: a role or time zone of the right shape may still be unknown."""
NOTHING: Mapping[str, str] = {}


@pytest.fixture(scope="module")
def served(host: Host) -> bytes:
    return httpx.get(f"{host.server.url}/schema/openapi.json", trust_env=False).content


@pytest.fixture
def document(served: bytes) -> Any:
    return json.loads(served)


@pytest.fixture(scope="module")
def channel(host: Host) -> str:
    """A conversation that ana takes part in."""
    ana = host.user("ana")
    host.user("ben")
    host.context("b1", {"ana": "worker", "ben": "supervisor"})
    with host.person(ana) as http:
        body = {"client_id": uuid4().hex, "content": "hello"}
        return str(http.post("/api/contexts/booking/b1/messages", json=body).raise_for_status().json()["channel_id"])


@pytest.mark.long
def test_a_host_finds_no_server_error(host: Host, document: Any, tmp_path: Path) -> None:
    operations = open_to(document, "key")
    run = explore(tmp_path, f"{host.server.url}/schema/openapi.json", host.http.headers["Authorization"], operations)
    assert run.returncode == 0, run.stdout + run.stderr
    _assert_thorough(run.stdout, operations)


@pytest.mark.long
def test_a_person_finds_no_server_error(host: Host, document: Any, channel: str, tmp_path: Path) -> None:
    operations = open_to(document, "user")
    bearer = f"Bearer {host.token('ana', role='admin')}"
    known = {"path.channel_id": channel, "path.context_id": "b1", "path.context_type": "booking"}
    run = explore(tmp_path, f"{host.server.url}/schema/openapi.json", bearer, operations, known=known)
    assert run.returncode == 0, run.stdout + run.stderr
    _assert_thorough(run.stdout, operations)


def test_a_document_that_says_less_than_the_server_does_is_found_out(host: Host, document: Any, tmp_path: Path) -> None:
    """The broken variant: one refusal isn't published."""
    (operation,) = [o for o in _operations(document) if o["operationId"] == "getContext"]
    del operation["responses"]["404"]
    doctored = tmp_path / "openapi.json"
    doctored.write_text(json.dumps(document))
    bearer = host.http.headers["Authorization"]
    run = explore(tmp_path, str(doctored), bearer, ["getContext"], url=host.server.url)
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"ndocumented.*status", run.stdout), run.stdout


def open_to(document: Any, scheme: str) -> list[str]:
    """Return the ids of the operations that somebody with this kind of credentials may call."""
    return [o["operationId"] for o in _operations(document) if any(scheme in one or one == {} for one in o["security"])]


def explore(
    folder: Path,
    document: str,
    bearer: str,
    operations: Collection[str],
    *,
    known: Mapping[str, str] = NOTHING,
    url: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis on these operations, with what is known to exist in place of made-up parameters."""
    settings = folder / "schemathesis.toml"
    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in known.items()]
    settings.write_text("\n".join(["[parameters]", *lines]) + "\n")
    command = [
        str(Path(sys.executable).with_name("st")),
        *("--no-color", "--config-file", str(settings), "run", document, *(["--url", url] if url else [])),
        *("--header", f"Authorization: {bearer}", "--seed", SEED, "--max-examples", EXAMPLES),
        *("--phases", "coverage,fuzzing", "--checks", ",".join(CHECKS)),
        *("--suppress-health-check", "all", "--continue-on-failure", "--request-timeout", "20"),
        *(part for operation in operations for part in ("--include-operation-id", operation)),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)


def _operations(document: Any) -> list[Any]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def _assert_thorough(report: str, operations: Collection[str]) -> None:
    sys.stdout.write("\n".join(re.findall(r"(?m)^(?:.* generated.*|Seed: .*)$", report)))
    assert f"Tested: {len(operations)}" in report
    cases = re.search(r"(\d+) generated", report)
    assert cases
    assert int(cases[1]) > 20 * len(operations)

"""Credentials of every wrong kind over HTTP."""

import time

import httpx
import pytest

from tests.support.servers import Host
from tests.support.tokens import token, wrong_tokens

WRONG = wrong_tokens()


@pytest.fixture(scope="module", autouse=True)
def ana(host: Host) -> str:
    return host.user("ana")


def me(host: Host, authorization: str | None) -> httpx.Response:
    """Ask who one is."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.get(f"{host.server.url}/api/users/me", headers=headers, trust_env=False)


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_token_is_refused_and_not_repeated(host: Host, kind: str) -> None:
    answer = me(host, f"Bearer {WRONG[kind]}")
    assert_unauthenticated(answer)
    assert WRONG[kind] not in answer.text or len(WRONG[kind]) < 4


def assert_unauthenticated(answer: httpx.Response) -> None:
    """It is the documented refusal."""
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
    assert problem["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YW5hOmFuYQ==", "Token x", "ana"])
def test_no_credentials_are_refused(host: Host, header: str | None) -> None:
    assert_unauthenticated(me(host, header))


def test_tokens_count_in_the_header_only(host: Host, ana: str) -> None:
    url = f"{host.server.url}/api/users/me"
    assert_unauthenticated(httpx.get(url, params={"token": ana, "access_token": ana}, trust_env=False))
    assert_unauthenticated(httpx.get(url, cookies={"token": ana, "Authorization": f"Bearer {ana}"}, trust_env=False))


def test_a_good_token_is_accepted_whatever_the_case_of_bearer(host: Host, ana: str) -> None:
    assert {me(host, f"{scheme} {ana}").status_code for scheme in ("Bearer", "bearer", "BEARER")} == {200}


def test_a_token_ends_on_time(host: Host) -> None:
    short = token(lives_s=1)
    deadline = time.monotonic() + 5
    while me(host, f"Bearer {short}").status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert_unauthenticated(me(host, f"Bearer {short}"))


def test_a_ticket_is_no_token(host: Host, ana: str) -> None:
    with host.person(ana) as http:
        ticket = http.post("/api/ws/tickets").raise_for_status().json()["ticket"]
    assert_unauthenticated(me(host, f"Bearer {ticket}"))


def test_who_was_deactivated_is_refused_at_once(host: Host) -> None:
    gone = host.user("gone")
    assert me(host, f"Bearer {gone}").status_code == 200
    host.http.delete("/api/users/gone").raise_for_status()
    answer = me(host, f"Bearer {gone}")
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/deactivated")


def test_a_revoked_key_is_refused_within_seconds(host: Host) -> None:
    key = host.server.cli("keys", "create", "short-lived")
    bearer = {"Authorization": f"Bearer {key}"}
    url = f"{host.server.url}/api/contexts/booking/none"
    assert httpx.get(url, headers=bearer, trust_env=False).status_code == 404
    (line,) = [line for line in host.server.cli("keys", "list").splitlines() if "short-lived" in line]
    host.server.cli("keys", "revoke", line.split()[0])
    deadline = time.monotonic() + 5
    while (answer := httpx.get(url, headers=bearer, trust_env=False)).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert_unauthenticated(answer)

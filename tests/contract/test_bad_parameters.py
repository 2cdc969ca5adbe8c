"""Every documented parameter in paths, queries and headers, with everything wrong in its place."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from tests.contract.test_bad_bodies import IN_PATHS, WRITES
from tests.support.inputs import example
from tests.support.servers import Host

NO_CHANNEL = "01890a5d-ac96-774b-bcce-b302099a8057"

ODDITIES = ("a b", "é", "a\n", "'", "a;b", "a%00", "👋")
NEEDED = {
    "/api/contacts/check": {"user_ids": "ana"},
    "/api/contacts/check-by-username": {"usernames": "ana"},
    "/api/notifications/unsubscribe": {"token": "A"},
    "/api/search": {"q": "gate"},
}
"""Query parameters that have to be there."""


@pytest.fixture(scope="module")
def clients(host: Host) -> Iterator[dict[str, httpx.Client]]:
    admin = (host.user("ana"), host.token("ana", role="admin"))[1]
    with host.person(admin) as person:
        yield {"key": host.http, "user": person}


@pytest.fixture(scope="module")
def parameters(host: Host) -> list[tuple[str, str, str, Any]]:
    """(method, path, kind of caller, parameter) of each that is published."""
    document = httpx.get(f"{host.server.url}/schema", trust_env=False).json()
    return [
        (method.upper(), path, next(iter(operation["security"][0]), "user"), parameter)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for parameter in operation.get("parameters", [])
    ]


def test_a_bad_parameter_gets_the_documented_problem(
    parameters: list[tuple[str, str, str, Any]], clients: dict[str, httpx.Client]
) -> None:
    assert len(parameters) > 20
    wrong = []
    for method, path, caller, parameter in parameters:
        pointer = {"path": "{%s}", "query": "?%s", "header": "%s:"}[parameter["in"]] % parameter["name"]
        for value in bad_values(parameter["schema"]):
            answer = ask(clients[caller], method, path, parameter, value)
            is_id = parameter["schema"].get("format") == "uuid"
            expected = 404 if parameter["in"] == "path" and (is_id or b"/" in value) else 400
            named = expected == 404 or [error["pointer"] for error in answer.json().get("errors", [])] == [pointer]
            if answer.status_code != expected or not named:
                wrong.append((method, path, parameter["name"], value[:80], answer.status_code, answer.text[:300]))
    assert wrong == [], "\n".join(map(str, wrong))


def ask(client: httpx.Client, method: str, path: str, parameter: Any, value: bytes) -> httpx.Response:
    """Send a request that is good but for one parameter."""
    known = dict.fromkeys(("channel_id", "message_id", "delivery_id", "subscription_id"), NO_CHANNEL) | IN_PATHS
    query, headers = "", []
    match parameter["in"]:
        case "path":
            known |= {parameter["name"]: quote_from_bytes(value, safe="")}
        case "query":
            others = {name: good for name, good in NEEDED.get(path, {}).items() if name != parameter["name"]}
            query = "?" + "&".join([f"{parameter['name']}={quote_from_bytes(value)}", *map("=".join, others.items())])
        case _:
            headers = [(parameter["name"].encode(), value)]
    url = httpx.URL(str(client.base_url).rstrip("/") + path.format(**known) + query)
    bodies = [write.body for write in WRITES if (write.method, write.path) == (method, path)]
    return client.request(method, url, headers=headers, json=example(bodies[0]) if bodies else None)


def bad_values(schema: Any) -> Iterator[bytes]:
    """Yield what a published schema doesn't allow; NUL and what isn't UTF-8 are never allowed."""
    schema = next((one for one in schema.get("anyOf", ()) if one != {"type": "null"}), schema)
    if schema.get("type") == "integer":
        yield from (b"x", b"1.5", b"", b"true", b"\0", b"\xff", b"0x1", b" 1x", b"1" + b"0" * 400)
        yield from (str(schema["minimum"] - 1).encode(), str(schema["maximum"] + 1).encode())
    elif schema.get("type") == "boolean":
        yield from (b"x", b"2", b"", b"\0", b"\xff", b"truth")
    elif "enum" in schema:
        yield from (b"nonsense", b"", b"\0", b"\xff", b"pending ", b"x" * 5_000)
    elif schema.get("format") == "uuid":
        yield from (b"x", b"\0", b"\xff", NO_CHANNEL[:-1].encode(), b"g" + NO_CHANNEL[1:].encode())
    elif "20-" in schema["pattern"]:  # a header: servers refuse controls before we see them
        yield from (b"", b"\xe9", b"x" * (schema["maxLength"] + 1))
    else:
        yield from (b"a\0b", b"\xff", b"\xed\xa0\x80")
        yield from (text.encode() for text in ODDITIES if not re.match(schema["pattern"], text))
        if "maxLength" in schema:
            yield b"x" * (schema["maxLength"] + 1)

"""The published document: complete, consistent, and the same in every process."""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema_rs
import pytest
from litestar.routes import HTTPRoute

from app import create_app
from kernel.auth import Role
from kernel.http.access import ANYONE
from kernel.settings import Settings
from modules.identity.domain import SCOPES
from tests.support.servers import PARLEY, Host

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(host: Host) -> Json:
    """The document as it is served, to anybody."""
    served: Json = httpx.get(f"{host.server.url}/schema/openapi.json", trust_env=False).raise_for_status().json()
    return served


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield (path, method, operation)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def every(value: Any, name: str) -> Iterator[Any]:
    """Yield every value called `name`, however deep."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == name:
            yield item
        yield from every(item, name)


def test_it_is_served_under_both_names(host: Host, document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    assert httpx.get(f"{host.server.url}/schema", trust_env=False).json() == document


def test_it_is_an_openapi_document_by_the_official_schema(document: Json) -> None:
    schema = gzip.decompress((Path(__file__).parent / "official" / "openapi-3.1.json.gz").read_bytes())
    official = jsonschema_rs.validator_for(json.loads(schema))
    assert [str(error) for error in official.iter_errors(document)] == []
    assert not official.is_valid(document | {"info": {"title": "no version"}})  # the broken variant


def test_paths_name_their_parameters(document: Json) -> None:
    for path, method, operation in operations(document):
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (path, method)


def test_it_says_whom_it_is_from_and_what_its_words_mean(document: Json) -> None:
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    assert document["info"]["contact"]["name"]
    assert document["servers"]
    assert all(len(tag["description"]) > 20 for tag in document["tags"])
    schemes = document["components"]["securitySchemes"]
    assert set(re.findall(r"^- `([a-z*]+)`: \w", schemes["key"]["description"], re.MULTILINE)) == SCOPES
    assert set(get_args(Role)) == set(re.findall(r"^- `([a-z]+)`: \w", schemes["user"]["description"], re.MULTILINE))
    for _, _, operation in operations(document):
        for alternative in operation["security"]:
            for scheme, needed in alternative.items():
                assert set(needed) <= (SCOPES if scheme == "key" else set(get_args(Role)))


def test_pages_are_described_once_and_alike(document: Json) -> None:
    assert "`cursor`" in document["info"]["description"]
    pages = []
    for _, _, operation in operations(document):
        parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        if "cursor" in parameters:
            pages.append({name: parameters[name] for name in ("limit", "cursor")})
    assert pages
    assert all(page == pages[0] for page in pages)


def test_every_route_says_who_may_call_it_and_what_it_is() -> None:
    app = create_app(Settings(dev_login=True))
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    handlers = [h for route in routes for method, (h, _) in route.route_handler_map.items() if method != "OPTIONS"]
    assert len(handlers) > 15
    for handler in handlers:
        assert handler.opt.get("who"), handler
        if handler.resolve_include_in_schema():
            assert handler.operation_id, handler
            assert handler.summary, handler
            assert handler.resolve_tags(), handler


def test_operations_are_told_apart_and_described(document: Json) -> None:
    found = list(operations(document))
    names = [operation["operationId"] for _, _, operation in found]
    assert len(names) == len(set(names)) > 10
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in found:
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"]), operation["operationId"]
        assert operation["summary"]
        assert set(operation["tags"]) <= tags, (path, method)
        assert operation["tags"][0].istitle(), operation["tags"]


def test_refusals_are_problems(document: Json) -> None:
    for path, method, operation in operations(document):
        answers = operation["responses"]
        assert "500" in answers
        callers = operation["security"]
        if {} not in callers:
            assert {"401", "403", "503"} <= answers.keys(), (path, method)
        if "requestBody" in operation:
            assert {"400", "413"} <= answers.keys(), (path, method)
        if any(p["in"] != "path" or p["schema"].get("format") != "uuid" for p in operation.get("parameters", [])):
            assert "400" in answers, (path, method)
        if any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", [])):
            assert "409" in answers, (path, method)
    for answer in document["components"]["responses"].values():
        (body,) = answer["content"].values()
        assert answer["content"].keys() == {"application/problem+json"}
        assert body["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert answer["description"]


def test_every_answer_has_its_headers(document: Json) -> None:
    shared = document["components"]["responses"]
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            named = {"X-Request-Id"}
            named |= {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
            headers = shared.get(answer.get("$ref", "").rpartition("/")[2], answer)["headers"]
            assert headers.keys() == named, (path, method, status)
            assert headers.keys() <= document["components"]["headers"].keys()


def test_every_reference_leads_somewhere(document: Json) -> None:
    references = set(every(document, "$ref"))
    assert references
    for reference in references:
        _, components, kind, name = reference.split("/")
        assert name in document[components][kind], reference


def test_schemas_are_valid_and_their_patterns_are_javascript_s(document: Json) -> None:
    inline = {str(schema): schema for schema in every(document["paths"], "schema")}
    for name, schema in (document["components"]["schemas"] | inline).items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        for pattern in every(schema, "pattern"):
            assert not re.search(r"\\[AZ]", str(pattern)), (name, pattern)


def test_input_refuses_unknown_fields_and_texts_have_limits(document: Json) -> None:
    for path, _method, operation in operations(document):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            name = body["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][name]["additionalProperties"] is False, name
        for parameter in operation.get("parameters", []):
            schema = parameter["schema"]
            assert schema.get("type") != "string" or {"pattern", "format", "enum"} & schema.keys(), (path, parameter)
            assert schema.get("type") != "integer" or {"minimum", "maximum"} <= schema.keys(), (path, parameter)


def test_the_open_operations_are_few(document: Json) -> None:
    """Whoever opens another to everybody has to say so here."""
    public = {o["operationId"] for _, _, o in operations(document) if {} in o["security"]}
    problems = {"listProblemTypes", "getProblemType"}
    unsubscribing = {"askWhetherToUnsubscribe", "unsubscribe"}
    assert public <= {"live", "ready", "login", "twilioStatus", "twilioInbound"} | problems | unsubscribing
    assert ANYONE == "anyone"


def test_two_processes_publish_the_same(document: Json, host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    printed = tmp_path_factory.mktemp("schema") / "openapi.json"
    litestar = PARLEY.removesuffix("parley") + "litestar"
    command = [litestar, "--app-dir", "src", "--app", "app:create_app", "schema", "openapi", "--output", str(printed)]
    subprocess.run(command, env=host.server.environment, check=True, capture_output=True, timeout=60)
    assert printed.read_text()
    assert httpx.Response(200, content=printed.read_bytes()).json() == document

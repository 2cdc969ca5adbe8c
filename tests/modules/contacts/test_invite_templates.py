"""Texts for invitations: kept by admins and the host, filled in by the server."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from kernel.cursors import encode_cursor
from modules.contacts.domain.templates import MAX_TEXT_CHARS, filled, text_problem
from tests.modules.contacts.guests import Guests, guests
from tests.support.party import refused
from tests.support.servers import Host

PATH = "/api/invite-templates"


@pytest.fixture(scope="module")
def two(host: Host) -> Iterator[Guests]:
    with guests(host, "ana", "ben") as people:
        yield people


@pytest.fixture
def name() -> str:
    return f"t_{uuid4().hex}-x"


def put(client: httpx.Client, name: str, text: str) -> httpx.Response:
    return client.put(f"{PATH}/{name}", json={"text": text})


def test_it_is_put_read_and_deleted(two: Guests, name: str) -> None:
    shop, ana = two.host.http, two.clients["ana", 0]
    made, same, changed = (put(shop, name, text) for text in ("Hello", "Hello", "Hi, {invitor} here"))
    assert [one.status_code for one in (made, same, changed)] == [201, 200, 200]
    assert made.json() == same.json() == {"name": name, "text": "Hello", "updated_at": made.json()["updated_at"]}
    assert changed.json()["updated_at"] > made.json()["updated_at"]
    assert ana.get(f"{PATH}/{name}").json() == changed.json() == shop.get(f"{PATH}/{name}").json()
    assert shop.delete(f"{PATH}/{name}").status_code == 204
    for gone in (ana.get(f"{PATH}/{name}"), shop.delete(f"{PATH}/{name}")):
        assert refused(gone) == (404, "template-not-found", [])


def test_admins_and_hosts_keep_them_and_others_read(two: Guests, name: str) -> None:
    ana = two.clients["ana", 0]
    assert put(ana, name, "Hello").status_code == 403
    assert ana.delete(f"{PATH}/{name}").status_code == 403
    with two.host.person(two.host.token(two.ids["ana"], role="admin")) as admin:
        assert put(admin, name, "Hello").status_code == 201
        assert admin.delete(f"{PATH}/{name}").status_code == 204


def test_they_are_listed_by_name_in_pages(two: Guests) -> None:
    names = [f"page-{uuid4().hex}{end}" for end in ("-", "0", "_", "a")]
    for name in reversed(names):
        put(two.host.http, name, "Hello")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = two.clients["ana", 0].get(f"{PATH}?limit=1{cursor and '&cursor='}{cursor}").raise_for_status().json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next"]
    assert [one for one in seen if one in names] == sorted(names)
    for cursor in ("AAAA", encode_cursor("a\0b"), encode_cursor("A"), encode_cursor(1)):
        assert refused(two.clients["ana", 0].get(f"{PATH}?cursor={cursor}")) == (400, "malformed", ["?cursor"])


def test_their_names_and_texts_have_limits(two: Guests, name: str) -> None:
    shop = two.host.http
    for bad in ("A", "a b", "x" * 65, "ä", "a%00", "a.b"):
        assert refused(put(shop, bad, "Hello")) == (400, "malformed", ["{name}"]), bad
    for text in (
        "",
        "x" * (MAX_TEXT_CHARS + 1),
        "a\0b",
        "{nobody}",
        "{invitor",
        "}",
        "{invitor} {invitor}",
        "{{invitor}}",
    ):
        assert refused(put(shop, name, text)) == (400, "malformed", ["/text"]), text
    assert put(shop, name, "\U0001f600" * MAX_TEXT_CHARS).status_code == 201


def test_an_invitation_says_it_with_names_and_title(two: Guests, name: str) -> None:
    put(two.host.http, name, "{invitor} asks you to {channel}: مرحبا")
    into = {"kind": "channel", "channel_id": two.a_group("ana"), **two.user("ben"), "template": name}
    made = two.post("ana", into)
    assert made.status_code == 201
    assert made.json()["message"] == f"{two.ids['ana'].title()} asks you to Dock 4: مرحبا"
    assert refused(two.invite("ana", "ben", template=name)) == (400, "malformed", ["/template"])
    assert refused(two.invite("ana", "ben", template="never-was")) == (404, "template-not-found", ["/template"])
    results = two.bulk("ana", two.user("ben", template="never-was"), two.user("ben", template=name), two.user("ben"))
    assert [one["status"] for one in results] == ["error", "error", "created"]
    assert results[0]["problem"]["errors"][0]["pointer"] == "/invites/0/template"
    put(two.host.http, name, "Other")
    assert two.bulk("ana", into)[0]["problem"]["type"] == "/problems/already-invited"


def test_braces_in_names_are_only_braces() -> None:
    assert filled("{invitor}, {channel}", invitor="{channel}", channel="{invitor}") == "{channel}, {invitor}"
    longest = filled("{channel}{invitor}" + "x" * (MAX_TEXT_CHARS - 18), invitor="n" * 100, channel="t" * 200)
    assert len(longest) <= 500
    assert text_problem("{channel} {invitor}") is None

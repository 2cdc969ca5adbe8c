"""Every field of every call, filled with what does not belong there: always the documented error, never a crash."""

import json
from typing import Any

import httpx
import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.database import Database
from modules.identity import domain

GOOD_USER = {"username": "ana", "display_name": "Ana"}
GOOD_TOKEN = {"user_id": "ana"}

WRONG_TYPES: list[Any] = [5, 1.5, True, [], {}]
BAD_TEXTS = ["", "\x00", "a\x00b", "x" * 3000]
BAD_PHONES = [
    *("0207946000", "+0123456789", "+1", "+12345678901234567", "+44 20 7946 0000", "+4402079460000"),
    *("+999123456789", "+1234567890123", "+٤٤٢٠٧٩٤٦٠٠٠٠", "+442079460000\n", "tel:+442079460000"),
]
BAD_EMAILS = ["ana", "@a", "a@", "a@b@c", "a b@c", "a@b\n", f"{'a' * 65}@b", "a@" + "b" * 260]
BAD_USER: dict[str, list[Any]] = {
    "username": [None, *WRONG_TYPES, *BAD_TEXTS, "x" * 65, "a b", "a,b", "é", "a\n", "Deactivated-12"],
    "display_name": [None, *WRONG_TYPES, *BAD_TEXTS, " ", "\t", "x" * 101, "a\nb", "a\u202eb", "a\u2028b"],
    "avatar_url": [*WRONG_TYPES, *BAD_TEXTS, "x", "javascript:alert(1)", "ftp://a/b", "https://", "http://a b"],
    "phone": [*WRONG_TYPES, *BAD_TEXTS, *BAD_PHONES],
    "email": [*WRONG_TYPES, *BAD_TEXTS, *BAD_EMAILS],
    "time_zone": [*WRONG_TYPES, *BAD_TEXTS, "Mars/X", "europe/london", "UTC+1", "localtime", "Factory", "../UTC"],
    "locale": [*WRONG_TYPES, *BAD_TEXTS, "e", "en_GB", "en-", "-en", "en-GB\n", "x" * 36],
    "unknown": [None, "x", 5],
    "user_id": ["bo"],
}
BAD_TOKEN: dict[str, list[Any]] = {
    "user_id": [None, *WRONG_TYPES, *BAD_TEXTS, "a b", "é", "a/b", "x" * 65, "ana\n"],
    "expires_in_s": [None, "60", "", True, 60.5, [], {}, 59, 0, -1, 30 * 86_400 + 1, 10**30],
    "role": [None, *WRONG_TYPES, *BAD_TEXTS, "root", "Admin", "key"],
    "unknown": [None, "x"],
}


NOT_JSON = [
    *(b"", b"{", b"[1", b"nope", b"'a'", b"\xff\xfe", b"\x00", b'{"username": "\xff"}', b"{}{}"),
    *(b'{"username": "\\ud800", "display_name": "x"}', b'{"username": "a", "display_name": "\\udfff\\ud800"}'),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"users": ' + b"[" * 100_000),
]
ENDPOINTS = [
    ("PUT", "/api/users/ana"),
    ("POST", "/api/users/batch"),
    ("POST", "/api/tokens"),
]


def assert_malformed(reply: httpx.Response, *pointers: str) -> None:
    assert reply.status_code == 400, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == "/problems/malformed"
    assert [error["pointer"] for error in reply.json().get("errors", [])] == list(pointers)


async def stored(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM identity_users")
        return count


@pytest.mark.parametrize("field", BAD_USER)
async def test_a_bad_field_of_a_profile_is_named(http: httpx.AsyncClient, database: Database, field: str) -> None:
    for value in BAD_USER[field]:
        reply = await http.put("/api/users/ana", json=GOOD_USER | {field: value})
        assert_malformed(reply, f"/{field}")
        if field != "user_id":
            users = [GOOD_USER | {"user_id": "ana", field: value}]
            reply = await http.post("/api/users/batch", json={"users": users})
            assert reply.status_code == 200
            (result,) = reply.json()["results"]
            assert [error["pointer"] for error in result["problem"]["errors"]] == [f"/users/0/{field}"], value
    assert await stored(database) == 0


async def test_a_missing_field_is_named(http: httpx.AsyncClient) -> None:
    for field in GOOD_USER:
        body = {name: value for name, value in GOOD_USER.items() if name != field}
        assert_malformed(await http.put("/api/users/ana", json=body), f"/{field}")


@pytest.mark.parametrize("field", BAD_TOKEN)
async def test_a_bad_field_of_a_token_request_is_named(http: httpx.AsyncClient, field: str) -> None:
    await http.put("/api/users/ana", json=GOOD_USER)
    for value in BAD_TOKEN[field]:
        assert_malformed(await http.post("/api/tokens", json=GOOD_TOKEN | {field: value}), f"/{field}")


async def test_a_bad_id_in_the_path_is_refused(http: httpx.AsyncClient) -> None:
    for user_id in ("a%20b", "%00", "a%00b", "%C3%A9", "x" * 65, "%2e%0a", "a%3Fb"):
        assert_malformed(await http.put(f"/api/users/{user_id}", json=GOOD_USER), "{user_id}")
        assert_malformed(await http.delete(f"/api/users/{user_id}"), "{user_id}")


async def test_reserved_ids_are_nobodys(http: httpx.AsyncClient) -> None:
    for user_id in domain.RESERVED_IDS:
        assert (await http.put(f"/api/users/{user_id}", json=GOOD_USER)).status_code == 405
        reply = await http.post("/api/users/batch", json={"users": [GOOD_USER | {"user_id": user_id}]})
        assert reply.json()["results"][0]["status"] == "error"


async def test_what_is_no_json_is_refused(http: httpx.AsyncClient, database: Database) -> None:
    for method, path in ENDPOINTS:
        for body in NOT_JSON:
            reply = await http.request(method, path, content=body, headers={"Content-Type": "application/json"})
            assert reply.status_code == 400, (path, body[:20], reply.text)
            assert reply.json()["type"] == "/problems/malformed"
    assert await stored(database) == 0


ACCEPTABLE: list[dict[str, Any]] = [
    {"username": "a", "display_name": "\u200fאנה"},
    {"username": "x" * 64, "display_name": "é" * 100},
    {"username": "Ana.L_1:2@x+y-z", "display_name": "👩🏽‍🚀 <b>&amp;' OR 1=1 --"},
    GOOD_USER | {"phone": "+15005550006"},
    GOOD_USER | {"phone": "+390612345678"},
    GOOD_USER | {"phone": None, "email": None, "time_zone": None, "locale": None, "avatar_url": None},
    GOOD_USER | {"time_zone": "America/Argentina/ComodRivadavia", "locale": "zh-Hant-TW"},
    GOOD_USER | {"time_zone": "UTC", "email": "josé+x@müller.example", "avatar_url": "http://a/?b=c#d"},
]


async def test_what_is_acceptable_is_kept_as_sent(http: httpx.AsyncClient) -> None:
    for number, body in enumerate(ACCEPTABLE):
        reply = await http.put(f"/api/users/u{number}", json=body | {"username": f"{number}{body['username']}"[:64]})
        assert reply.status_code == 201, reply.text
        assert reply.json().items() >= {name: body[name] for name in body if name != "username"}.items()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from([*BAD_USER, "users", "expires_in_s", "role"])
BODIES = st.dictionaries(FIELDS, VALUES, max_size=6)
ANYTHING = st.one_of(
    BODIES,
    BODIES.map(lambda body: GOOD_USER | body),
    BODIES.map(lambda body: GOOD_TOKEN | body),
    st.lists(BODIES.map(lambda body: GOOD_USER | {"user_id": "u"} | body), max_size=4).map(
        lambda users: {"users": users}
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(endpoint=st.sampled_from(ENDPOINTS), body=ANYTHING)
async def test_no_body_crashes_anything(http: httpx.AsyncClient, endpoint: tuple[str, str], body: Any) -> None:
    method, path = endpoint
    text = json.dumps(body).encode()
    reply = await http.request(method, path, content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code in {200, 201, 400, 404, 409}, reply.text
    if reply.status_code >= 400:
        assert reply.headers["content-type"] == "application/problem+json"


@given(st.text(max_size=20))
def test_pins_of_any_text_have_a_hash(text: str) -> None:
    assert len(domain.pin_hash(text)) == 32


@given(st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"))
def test_what_is_taken_for_a_phone_number_is_written_as_it_is_dialled(phone: str) -> None:
    if domain.phone_problem(phone) is None:
        number = phonenumbers.parse(phone)
        assert f"+{number.country_code}{phonenumbers.national_significant_number(number)}" == phone

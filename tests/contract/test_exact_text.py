"""What people write is kept to the byte, whatever the script."""

import json
from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import chat
from tests.support.servers import Host, Server

TEXTS = {
    "emoji in families": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇺🇳",
    "right to left": "\u200fمرحبا، كيف حالك؟ שלום \u202eabc\u202c",
    "combining, not composed": "e\u0301 n\u0303 ạ̈ \u1e69 s\u0323\u0307 s\u0307\u0323",
    "composed, not combining": "é ñ ṩ",
    "beyond the first plane": "𝕬𝖓𝖆 \U0010ffff \U0001f600",
    "not a character": "\ufffe \uffff \ufffd \ufeff",
    "controls": "\x01\x08\t\x0b\x1b[31m\x7f\x85\u2028\u2029\r\n",
    "white space kept": "  \n\u3000 two  spaces \u00a0\n ",
    "only white space": " ",
    "markup": "<script>alert('1')</script> &amp; %00 %s {} $1 \\u0000 \\x00 '; DROP TABLE chat_messages; --",
    "JSON in JSON": '{"a": "\\ud800", "b": [1, 2]}',
    "5,000 letters": "x" * 5_000,
    "5,000 in two bytes each": "ä" * 5_000,
    "5,000 in four bytes each": "\U0001f600" * 5_000,
}
LONGEST_IN_A_FRAME = 15_000
"""As JSON. The frame's limit (16 KiB) comes before the text's, where characters take many bytes."""
WAYS = [
    (kind, way)
    for kind, text in TEXTS.items()
    for way in ("http", "socket")
    if way == "http" or len(json.dumps(text)) <= LONGEST_IN_A_FRAME
]


@pytest.fixture(scope="module")
def ana(host: Host) -> str:
    """Ana, who may write into a conversation."""
    token = host.user("ana")
    host.user("ben")
    host.context("exact", {"ana": "worker", "ben": "supervisor"})
    return token


@pytest.mark.parametrize(("kind", "way"), WAYS)
async def test_a_text_is_stored_and_shown_as_it_was_sent(
    server: Server, host: Host, ana: str, kind: str, way: str
) -> None:
    text, client_id = TEXTS[kind], uuid4().hex
    with host.person(ana) as http:
        if way == "http":
            body = {"client_id": client_id, "content": text}
            message = http.post("/api/contexts/booking/exact/messages", json=body).raise_for_status().json()
        else:
            async with chat(server.ws_url, ana) as socket:
                context = {"type": "booking", "id": "exact"}
                message = (await socket.message(text, client_id=client_id, context=context))["message"]
        channel, before = message["channel_id"], message["seq"] - 1
        listed = http.get(f"/api/channels/{channel}/messages?after_seq={before}&limit=1").json()["items"][0]
        logged = http.get(f"/api/channels/{channel}/log?after_seq={before}&limit=1").json()["items"][0]
    assert message["content"] == listed["content"] == logged["content"] == text
    assert await stored(server, message["id"]) == text.encode()


async def stored(server: Server, message_id: str) -> bytes:
    """Return the bytes that PostgreSQL holds."""
    connection = await asyncpg.connect(server.environment["DATABASE_URL"])
    try:
        query = "SELECT convert_to(content, 'UTF8') FROM chat_messages WHERE id = $1"
        found: bytes = await connection.fetchval(query, message_id)
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["👩‍👩‍👧‍👦", "Zoë Müller-Ñandú", "محمد", "e\u0301va", "李小龍"])
def test_names_and_titles_are_kept_as_they_are_given(host: Host, name: str) -> None:
    host.user("names", display_name=name)
    with host.person(host.token("names")) as http:
        assert http.get("/api/users/me").json()["display_name"] == name
    assert host.context("titled", {"names": "worker"}, title=name)["title"] == name

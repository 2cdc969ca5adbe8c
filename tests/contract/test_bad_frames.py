"""Every field of every frame that clients send, with everything wrong in its place, and what is no frame at all."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import websockets

from modules.messaging.gateway import client_frames
from realtime import frames
from tests.support.chat import Chat, chat
from tests.support.inputs import Bad, bad_bodies, broken_bodies, example
from tests.support.servers import Host, Server
from tests.support.tables import contents, settled

FRAME_BYTES = 16 * 1024
MAY_HOLD_NUL = ("/ref", "/epoch", "/token")
"""Compared or echoed, never stored."""
NOT_UTF_8, TOO_BIG, NOT_UNDERSTOOD = 1007, 1009, 4400

CASES = [
    bad
    for bad in [*bad_bodies(client_frames.Incoming), *broken_bodies()]
    if not bad.what.endswith("NUL") or not bad.what.startswith(MAY_HOLD_NUL)
]
FRAMES = {frame.__struct_config__.tag: frame for frame in frames.ClientFrame.__subclasses__()}


@pytest.fixture(scope="module")
def ana(host: Host) -> str:
    """Ana, who has a conversation."""
    token = host.user("ana")
    host.user("ben")
    host.context("frames", {"ana": "worker", "ben": "supervisor"})
    with host.person(token) as http:
        body = {"client_id": uuid4().hex, "content": "hello"}
        http.post("/api/contexts/booking/frames/messages", json=body).raise_for_status()
    return token


@pytest.fixture
def untouched(server: Server, ana: str) -> Iterator[None]:
    """Nothing is written by whatever the test sends."""
    dsn = server.environment["DATABASE_URL"]
    settled(dsn)
    before = contents(dsn)
    yield
    assert contents(dsn) == before


def is_text(body: bytes) -> bool:
    """Whether it can be sent as a text frame that the server accepts as such."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return len(body) <= FRAME_BYTES


@pytest.mark.usefixtures("untouched")
async def test_a_bad_frame_gets_an_error_and_the_socket_lives(server: Server, ana: str) -> None:
    wrong = []
    cases = [bad for bad in CASES if is_text(bad.body)]
    assert len(cases) > 150
    async with chat(server.ws_url, ana) as socket:
        for bad in cases:
            answer = await reply(socket, bad.body)
            if (fault := _fault(bad, answer)) is not None:
                wrong.append((bad.what, bad.body[:200], fault, answer))
    assert wrong == [], "\n".join(map(str, wrong))


async def reply(socket: Chat, frame: bytes) -> Any:
    """Send a frame and then a ping; return what came before the pong."""
    await socket.socket.send(frame, text=True)
    await socket.send(type="ping", ref="after")
    answer = await socket.receive()
    if answer["type"] != "pong":
        assert await socket.receive() == {"type": "pong", "ref": "after"}
    return answer


def _fault(bad: Bad, answer: Any) -> str | None:
    if answer["type"] != "error" or answer["problem"]["status"] != 400:
        return "no error"
    if answer.get("ref") != _readable_ref(bad.body):
        return "ref"
    if bad.pointer is None:
        return None if answer["problem"]["detail"] else "detail"
    said = [error["message"] for error in answer["problem"].get("errors", []) if error["pointer"] == bad.pointer]
    return None if any(bad.says in message for message in said) else "errors"


def _readable_ref(body: bytes) -> str | None:
    return frames.ref_of(body.decode())


@pytest.mark.usefixtures("untouched")
async def test_deep_nesting_is_answered_like_anything_else_that_is_malformed(server: Server, ana: str) -> None:
    async with chat(server.ws_url, ana) as socket:
        for opening in (b'{"type":"ping","x":', b'{"ref":"r","x":', b'{"type":'):
            assert (await reply(socket, opening + b"[" * 15_000))["problem"]["status"] == 400


@pytest.mark.usefixtures("untouched")
async def test_what_is_not_utf_8_or_too_big_ends_the_socket(server: Server, ana: str) -> None:
    cases = [
        (bad.body, TOO_BIG if len(bad.body) > FRAME_BYTES else NOT_UTF_8) for bad in CASES if not is_text(bad.body)
    ]
    assert {code for _, code in cases} == {NOT_UTF_8, TOO_BIG}
    some = [*cases[:: len(cases) // 10], (b'{"type":"ping","ref":"' + b"x" * FRAME_BYTES + b'"}', TOO_BIG)]
    for body, code in some:
        async with chat(server.ws_url, ana) as socket:
            await socket.socket.send(body, text=True)
            assert await socket.closed() == code, body[:100]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("frame", "pointer"),
    [
        ({}, "/type"),
        ({"type": "shout"}, "/type"),
        ({"type": 5}, "/type"),
        ({"type": None}, "/type"),
        ({"type": "message.created"}, "/type"),
        ({"type": "message.send", "ref": "1", "client_id": "1", "content": "?"}, None),
    ],
    ids=["no type", "unknown type", "a number", "null", "the server's", "no target"],
)
async def test_frames_of_no_known_kind_are_refused(server: Server, ana: str, frame: Any, pointer: str | None) -> None:
    async with chat(server.ws_url, ana) as socket:
        answer = await reply(socket, json.dumps(frame).encode())
    assert answer["problem"]["status"] == 400
    assert [error["pointer"] for error in answer["problem"].get("errors", [])] == ([] if pointer is None else [pointer])


@pytest.mark.usefixtures("untouched")
async def test_a_channel_and_a_context_at_once_are_refused(server: Server, ana: str) -> None:
    frame = example(FRAMES["message.send"])
    assert {"channel_id", "context"} <= frame.keys()
    async with chat(server.ws_url, ana) as socket:
        answer = await reply(socket, json.dumps(frame).encode())
    assert "either channel_id or context" in answer["problem"]["detail"]


@pytest.mark.usefixtures("untouched")
async def test_a_text_over_the_limit_is_told_the_limit(server: Server, ana: str) -> None:
    async with chat(server.ws_url, ana) as socket:
        answer = await socket.message("x" * 5001, context={"type": "booking", "id": "frames"})
    assert answer["problem"]["status"] == 413
    assert answer["problem"]["errors"] == [{"pointer": "/content", "message": "at most 5000 characters"}]


@pytest.mark.usefixtures("untouched")
async def test_binary_frames_are_refused_and_five_in_a_row_of_anything_strange_end_the_socket(
    server: Server, ana: str
) -> None:
    async with chat(server.ws_url, ana) as socket:
        for frame in (b"\x00\x01", json.dumps({"type": "ping"}).encode(), b"", "{", "hello"):
            await socket.socket.send(frame)
        assert await socket.closed() == NOT_UNDERSTOOD
        problems = [frame["problem"] for frame in socket.seen if frame["type"] == "error"]
    assert [problem["status"] for problem in problems] == [400] * 5
    assert "binary" in problems[0]["detail"]


@pytest.mark.usefixtures("untouched")
async def test_frames_in_fragments_count_as_one(server: Server, ana: str) -> None:
    async with chat(server.ws_url, ana) as socket:
        await socket.socket.send(['{"type":"pi', "", 'ng","ref":"in ', 'pieces"}'])
        assert await socket.receive() == {"type": "pong", "ref": "in pieces"}
        with suppress(websockets.ConnectionClosed):
            await socket.socket.send(["x" * 1000] * 17)  # each small, together over the limit
        assert await socket.closed() == TOO_BIG


@pytest.mark.parametrize("tag", FRAMES)
def test_the_examples_that_bad_frames_are_made_from_are_good(tag: str) -> None:
    msgspec.json.decode(json.dumps(example(FRAMES[tag])), type=client_frames.Incoming)

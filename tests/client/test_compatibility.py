"""A client meets newer servers: what it doesn't know must not stop it."""

from datetime import timedelta
from typing import Any

import msgspec

from kernel.clock import now
from parley_client import Limits, MessageCreated, UnknownRecord
from parley_client.frames import decode
from parley_client.tokens import Token
from tests.support.tokens import token

MESSAGE = {
    "id": "m",
    "channel_id": "c",
    "seq": 4,
    "sender": {"user_id": "ana", "pronouns": "she"},
    "content": "Hello",
    "client_id": "1",
    "created_at": "2026-01-01T00:00:00.000000Z",
    "mood": "good",
}


def frame(kind: str, **fields: Any) -> Any:
    return decode(msgspec.json.encode({"type": kind, **fields}))


def test_new_fields_are_ignored() -> None:
    created = frame("message.created", channel_id="c", seq=4, message=MESSAGE, thread="t")
    assert isinstance(created, MessageCreated)
    assert created.message.content == "Hello"


def test_new_records_keep_their_place() -> None:
    assert frame("poll.opened", channel_id="c", seq=7) == UnknownRecord(channel_id="c", seq=7, kind="poll.opened")
    assert frame("message.created", channel_id="c", seq=7, message={"text": "Hello"}) == UnknownRecord(
        channel_id="c", seq=7, kind="message.created"
    )


def test_what_has_no_place_is_ignored() -> None:
    assert frame("weather", city="Basel") is None
    assert frame("weather", channel_id="c", seq="high") is None
    assert frame("ack", ref="1", channel_id="c", seq=7, message=3) is None
    assert decode("{") is decode("[]") is decode("7") is None
    assert decode('{"type": 3, "seq": 1}') is None


def test_limits_that_are_not_named_have_defaults() -> None:
    assert msgspec.convert({"message_chars": 10, "smileys": 3}, Limits) == Limits(message_chars=10)


def test_tokens_that_say_nothing_are_left_alone() -> None:
    async def fetch() -> str:
        return ""

    renewable, only = Token(fetch), Token("t")
    soon = token("ana", lives_s=100)
    assert 70 < (renewable.refresh_in_s(soon, now()) or 0) <= 80
    assert 150 < (renewable.refresh_in_s(soon, now() - timedelta(seconds=100)) or 0) <= 160, "by the server's clock"
    assert only.refresh_in_s(soon, now()) is None
    for text in ("", "t", "a.b.c", "a.e30.c", "é.é.é", "a.bnVsbA.c"):
        assert renewable.refresh_in_s(text, now()) is None

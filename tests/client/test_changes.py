"""What becomes of messages, and what passes by: sent by one, heard by the other, and the same for both."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from parley_client import (
    Client,
    Message,
    MessageCreated,
    MessageDeleted,
    MessageRevised,
    ReactionAdded,
    ReactionRemoved,
    Record,
    Refused,
    Sender,
    requests,
)
from parley_client.frames import Ack
from tests.client.people import SOON, booking, take
from tests.client.proxy import proxy
from tests.support.servers import Host

KINDS = [MessageCreated, MessageRevised, ReactionAdded, ReactionRemoved, MessageDeleted]


async def test_each_change_is_heard_alike_by_whoever_made_it(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana, Client(host.server.url, token=at.ben) as ben:
        own, heard = ana.records(), ben.records()
        message = await ana.send(at.target, "Helo")
        revised = await ana.revise(message.id, "Hello")
        await ana.react(message.id, "👍")
        await ana.react(message.id, "👍")
        await ana.unreact(message.id, "👍")
        await ana.unreact(message.id, "👍")
        await ana.delete(message.id)
        records = [unmarked(record) for record in await take(heard, len(KINDS))]
        assert [unmarked(record) for record in await take(own, len(KINDS))] == records
        assert [type(record) for record in records] == KINDS
        assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert (revised.id, revised.content, revised.revision) == (message.id, "Hello", 1)


async def test_changes_that_are_refused(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana, Client(host.server.url, token=at.ben) as ben:
        message = await ana.send(at.target, "Hello")
        with pytest.raises(Refused) as refused:
            await ben.revise(message.id, "Goodbye")
        assert refused.value.status == 403
        with pytest.raises(Refused) as refused:
            await ben.react(message.id, "no emoji")
        assert [error.pointer for error in refused.value.errors] == ["/emoji"]


async def test_changes_over_a_line_that_loses_every_answer_are_made_once(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=SOON) as ana:
        own = ana.records()
        message = await ana.send(at.target, "Helo")
        for change in (
            lambda: ana.revise(message.id, "Hello"),
            lambda: ana.react(message.id, "👍"),
            lambda: ana.unreact(message.id, "👍"),
            lambda: ana.delete(message.id),
        ):
            line.hold()
            changing = asyncio.ensure_future(change())
            await asyncio.sleep(0.1)
            line.cut()
            line.release()
            await changing
        assert [type(record) for record in await take(own, len(KINDS))] == KINDS
        assert ana.connections == 5


CHANGES = [
    requests.revision("m", "Hello", "1"),
    requests.deletion("m"),
    requests.reaction("m", "👍"),
    requests.reaction_taken_back("m", "👍"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.kind)
def test_an_acknowledgement_of_what_was_so_already_stands_for_no_record(change: requests.Request) -> None:
    """Taken for one it would stand in the place of the message, where that hasn't come yet."""
    at = datetime.now(UTC)
    message = Message(id="m", channel_id="c", seq=4, sender=Sender("ben"), content="", client_id="1", created_at=at)
    appended = change.record(Ack(ref="1", channel_id="c", seq=5, message=message), "ana")
    assert appended is not None
    assert appended.seq == 5
    assert change.record(Ack(ref="1", channel_id="c", seq=4, message=message), "ana") is None


def unmarked(record: Record) -> Record:
    """Leave out what is shown to the sender only, and what a frame that was read later knows already."""
    if isinstance(record, MessageCreated | MessageRevised):
        return replace(record, message=replace(record.message, status=None, reactions=[]))
    return record

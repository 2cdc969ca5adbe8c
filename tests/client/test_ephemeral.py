"""What passes by: typing, presence and receipts, which are told anew on each connection and hold nothing up."""

import asyncio
from http import HTTPStatus
from typing import TypeVar
from uuid import uuid4

import pytest

from parley_client import Client, Options, Presence, Receipt, Refused, Typing
from tests.client.people import PATIENCE_S, SOON, booking, send_all
from tests.client.proxy import proxy
from tests.support.servers import Host

T = TypeVar("T", Typing, Presence, Receipt)


async def test_typing_and_receipts(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana, Client(host.server.url, token=at.ben) as ben:
        message = await ana.send(at.target, "one")
        ben.typing(message.channel_id)
        heard = await event(ana, Typing)
        assert (heard.channel_id, heard.user_ids) == (message.channel_id, [f"ben-{at.id}"])
        ben.typing(message.channel_id, is_typing=False)
        assert (await event(ana, Typing)).user_ids == []
        ben.mark_read(message.channel_id, 1)
        receipt = await event(ana, Receipt)
        assert (receipt.user_id, receipt.last_read_seq) == (f"ben-{at.id}", 1)


async def test_presence_is_watched_again_after_a_cut(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=SOON) as ana:
        await ana.send(at.target, "one")
        ana.watch([f"ben-{at.id}"])
        assert (await event(ana, Presence)).status == "offline"
        line.cut()
        while ana.connections < 2:
            await asyncio.sleep(0.01)
        assert (await event(ana, Presence)).status == "offline"
        async with Client(host.server.url, token=at.ben):
            assert (await event(ana, Presence)).status == "online"


async def test_too_many_to_watch_are_refused_at_once_and_end_nothing(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana, options=SOON) as ana:
        await ana.send(at.target, "one")
        ana.watch([f"ben-{at.id}"])
        assert (await event(ana, Presence)).status == "offline"
        with pytest.raises(Refused) as refusal:
            ana.watch([str(uuid4()) for _ in range(500)])
        assert refusal.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        async with Client(host.server.url, token=at.ben):
            assert (await event(ana, Presence)).status == "online"
        assert ana.connections == 1


async def test_what_nobody_asks_for_holds_nothing_up_and_is_bounded(host: Host) -> None:
    at = booking(host)
    few = Options(backoff=SOON.backoff, backlog=3)
    async with (
        Client(host.server.url, token=at.ana, options=few) as ana,
        Client(host.server.url, token=at.ben) as ben,
    ):
        channel = (await ana.send(at.target, "0")).channel_id
        await send_all(ana, at, 9, 1)
        for seq in range(1, 11):
            ben.mark_read(channel, seq)
            await asyncio.sleep(0.1)
        await ana.send(at.target, "last")
        heard = [await event(ana, Receipt) for _ in range(3)]
        assert heard[-1].last_read_seq == 10
        assert heard[0].last_read_seq > 1, "the oldest made room"


async def event(client: Client, kind: type[T]) -> T:
    """Return the next event of a kind."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in client.ephemeral():
            if isinstance(event, kind):
                return event
    raise AssertionError(kind)

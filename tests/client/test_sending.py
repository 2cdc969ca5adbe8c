"""What is sent is there once, in order, however often it had to be sent; what is refused says why."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from parley_client import Backoff, Client, Options, Refused, Stopped
from parley_client.backoff import Pace
from parley_client.outbox import Outbox
from tests.client.people import SOON, Booking, booking, booking_on, send_all, take, texts
from tests.client.proxy import proxy
from tests.support.log import damage, read
from tests.support.servers import SERVE, Host, running_server

CUTS = 10
AT_ONCE = 30
Patch = Callable[[Any, str, Any], None]


async def test_cut_lines_leave_one_row_each_in_order(host: Host) -> None:
    assert await written_over_a_bad_line(host) == [str(n) for n in range(CUTS * AT_ONCE)]


@pytest.mark.parametrize("variant", ["names_it_anew", "forgets_the_order"])
async def test_the_same_check_finds(host: Host, monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    """The broken variants: each attempt has a client_id of its own, or the unanswered go out again in another order."""
    {"names_it_anew": names_it_anew, "forgets_the_order": forgets_the_order}[variant](monkeypatch.setattr)
    assert await written_over_a_bad_line(host) != [str(n) for n in range(CUTS * AT_ONCE)]


@pytest.mark.parametrize("fault", ["dies_before_commit", "dies_after_commit"])
async def test_an_unknown_outcome_becomes_one_row(dsn: str, tmp_path: Path, fault: str) -> None:
    with running_server(dsn, tmp_path, variant=fault) as server:
        at = booking_on(server)
        async with Client(server.url, token=at.ana, options=SOON) as ana:
            sending = asyncio.create_task(ana.send(at.target, "one"))
            while ana._connector.is_connected:
                await asyncio.sleep(0.01)
            server.program = SERVE
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            message = await sending
    log = await read(dsn, at.id)
    assert [(str(record.id), record.content) for record in log.records] == [(message.id, "one")]
    assert damage(log) == []


async def test_refusals_say_why_and_end_nothing(host: Host) -> None:
    at, foreign = booking(host), booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        message = await ana.send(at.target, "one", client_id="c")
        assert (await ana.send(message.channel_id, "one", client_id="c")) == message
        assert await refusal(ana, at.target, "another", client_id="c") == (409, "/problems/client-id-conflict")
        assert await refusal(ana, foreign.target, "hello") == (404, "/problems/not-found")
        assert await refusal(ana, str(uuid4()), "hello") == (404, "/problems/not-found")
        assert await refusal(ana, at.target, "x" * 5_001) == (413, "/problems/too-large")
        with pytest.raises(Refused) as refused:
            await ana.send(at.target, "")
        assert [error.pointer for error in refused.value.errors] == ["/content"]
        assert ana.connections == 1


async def test_what_no_frame_holds_is_refused_before_it_ends_the_connection(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        assert await refusal(ana, at.target, "👋" * ana.ready.limits.frame_bytes) == (413, "/problems/too-large")
        await ana.send(at.target, "one")
        assert ana.connections == 1


async def test_it_keeps_to_the_servers_pace(dsn: str, tmp_path: Path) -> None:
    assert await refused_at_a_slow_server(dsn, tmp_path) < 5


async def test_the_same_check_finds_a_client_in_a_hurry(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: whatever is to be sent is sent at once."""
    monkeypatch.setattr(Pace, "wait_s", lambda *_: 0)
    assert await refused_at_a_slow_server(dsn, tmp_path) > 20


async def refused_at_a_slow_server(dsn: str, data_dir: Path) -> int:
    """Return how many refusals it took until all that was sent at once was there."""
    heard: list[str] = []
    with running_server(dsn, data_dir, PARLEY_MESSAGES_PER_S="40", PARLEY_MESSAGE_BURST="10") as server:
        at = booking_on(server)
        async with Client(server.url, token=at.ana, options=SOON, tap=heard.append) as ana:
            await send_all(ana, at, 40)
    return sum('"error"' in text for text in heard)


async def test_what_is_too_much_for_now_is_sent_again_or_not_as_wanted(dsn: str, tmp_path: Path) -> None:
    """Two sockets of one person don't know of each other, so the server has to slow them down."""
    with running_server(dsn, tmp_path, PARLEY_MESSAGES_PER_S="20", PARLEY_MESSAGE_BURST="5") as server:
        at = booking_on(server)
        async with (
            Client(server.url, token=at.ana, options=SOON) as phone,
            Client(server.url, token=at.ana, options=SOON) as laptop,
        ):
            await asyncio.gather(send_all(phone, at, 5), send_all(laptop, at, 5, 5))
            with pytest.raises(Refused) as refused:
                await asyncio.gather(*(phone.send(at.target, "now", retry=False) for _ in range(3)))
            assert (refused.value.status, refused.value.passes) == (429, True)
    assert {record.content for record in (await read(dsn, at.id)).records} >= {str(n) for n in range(10)}


async def test_the_window_is_kept(host: Host) -> None:
    at = booking(host)
    few = Options(backoff=SOON.backoff, window=3)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=few) as ana:
        line.hold()
        sends = [asyncio.create_task(ana.send(at.target, str(n))) for n in range(10)]
        await asyncio.sleep(0.2)
        assert len(await written(host, at)) == 3
        line.release()
        assert [message.seq for message in await asyncio.gather(*sends)] == list(range(1, 11))


async def test_a_cancelled_send_is_forgotten_and_its_record_still_comes(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=SOON) as ana:
        records = ana.records()
        line.hold()
        sending = asyncio.create_task(ana.send(at.target, "one"))
        await asyncio.sleep(0.1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        line.release()
        assert texts(await take(records, 1)) == ["one"]


async def test_the_end_of_the_client_ends_what_waits(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line:
        async with Client(line.url, token=at.ana, options=SOON) as ana:
            line.hold()
            sending = asyncio.create_task(ana.send(at.target, "one"))
            await asyncio.sleep(0.1)
        with pytest.raises(Stopped) as stopped:
            await sending
        assert stopped.value.code == 1000
        with pytest.raises(Stopped):
            await ana.send(at.target, "two")


async def refusal(client: Client, to: Any, content: str, **options: Any) -> tuple[int, str]:
    """Return what a message is refused with."""
    with pytest.raises(Refused) as refused:
        await client.send(to, content, **options)
    return refused.value.status, refused.value.type


async def written_over_a_bad_line(host: Host) -> list[str]:
    """Return what is on record after somebody sent over a line that was cut again and again.

    Now and then right after the first frames went out, now and then when all was written and nothing acknowledged.
    """
    at = booking(host)
    options = Options(backoff=Backoff(base_s=0.01, cap_s=0.1))
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=options) as ana:
        for n in range(CUTS):
            if n % 2:
                line.hold()
            sending = asyncio.create_task(send_all(ana, at, AT_ONCE, n * AT_ONCE))
            await asyncio.sleep(0.03 if n % 2 else 0.001 * n)
            line.cut()
            line.release()
            await sending
    return await written(host, at)


async def written(host: Host, at: Booking) -> list[str]:
    """Return what is on record."""
    log = await read(host.server.environment["DATABASE_URL"], at.id)
    return [record.content or "" for record in log.records]


def names_it_anew(patch: Patch) -> None:
    """Each attempt is another message."""
    connected = Outbox.connected

    def again(self: Outbox, limits: Any) -> None:
        connected(self, limits)
        for pending in self._unanswered.values():
            pending.frame = pending.frame.replace(b'"client_id":"', b'"client_id":"again-')

    patch(Outbox, "connected", again)


def forgets_the_order(patch: Patch) -> None:
    """The unanswered go out again, the newest first."""
    connected = Outbox.connected

    def again(self: Outbox, limits: Any) -> None:
        connected(self, limits)
        self._due.reverse()

    patch(Outbox, "connected", again)

"""Records come once and in order, whatever happens to sockets, servers and the application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from parley_client import Client, MessageCreated, Options, ParticipantLeft, Record, Reset
from parley_client.session import Session
from parley_client.stream import Records
from tests.client.people import PATIENCE_S, SOON, Booking, booking, booking_on, send_all, seqs, take, texts
from tests.client.proxy import proxy
from tests.support.servers import Host, running_server

SENT = 200
CUTS = 5
NAMED_IN_READY = 200
FLOOD = 4_000
"""Of 5,000 characters each, more than the system's own buffers take."""


async def test_everybody_gets_everything_once_and_in_order(host: Host) -> None:
    at = booking(host)
    async with clients(at) as (ana, ben):
        heard, own = ben.records(), ana.records()
        await asyncio.gather(send_all(ana, at, 50), send_all(ben, at, 50, 50))
        for records in (heard, own):
            taken = await take(records, 100)
            assert seqs(taken) == list(range(1, 101))
            assert sorted(texts(taken), key=int) == [str(n) for n in range(100)]
    assert list(ben.positions.values()) == [100]


async def test_kills_of_the_server(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        at = booking_on(server)
        async with clients(at) as (ana, ben):
            heard, own = ben.records(), ana.records()
            for n in range(3):
                sending = asyncio.create_task(send_all(ana, at, 50, n * 50))
                await take(heard, 10)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await sending
                await take(heard, 40)
            await ben.send(at.target, "all there")
            assert texts(await take(own, 151)) == [*(str(n) for n in range(150)), "all there"]
            assert ben.connections == 4


async def test_a_restart(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        at = booking_on(server)
        async with clients(at) as (ana, ben):
            heard = ben.records()
            sending = asyncio.create_task(send_all(ana, at, SENT))
            await take(heard, 10)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await sending
            assert texts(await take(heard, SENT - 10)) == [str(n) for n in range(10, SENT)]


async def test_lost_lines(host: Host) -> None:
    assert await heard_over_a_bad_line(host) == [str(n) for n in range(SENT)]


async def test_the_same_check_finds_a_client_that_never_resumes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: nobody asks for what was missed."""
    monkeypatch.setattr(Session, "catch_up", lambda _: None)
    assert await heard_over_a_bad_line(host) != [str(n) for n in range(SENT)]


async def test_nothing_is_kept_for_nobody(host: Host) -> None:
    """Whoever begins to read late, or stops for a while, misses nothing, and nothing is stored meanwhile."""
    at = booking(host)
    async with clients(at, Options(backoff=SOON.backoff, backlog=10)) as (ana, ben):
        await send_all(ana, at, 30)
        assert texts(await take(ana.records(), 25)) == [str(n) for n in range(25)]
        await send_all(ana, at, 30, 30)
        assert texts(await take(ana.records(), 35)) == [str(n) for n in range(25, 60)]
        assert texts(await take(ben.records(), 60)) == [str(n) for n in range(60)]
        assert ana.connections == ben.connections == 1


async def test_the_next_run_goes_on_where_the_last_one_ended(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        at = booking_on(server)
        async with clients(at) as (ana, ben):
            await send_all(ana, at, 30)
            await take(ben.records(), 10)
        server.stop()
        server.start()
        async with Client(server.url, token=at.ana, options=SOON) as ana:
            await send_all(ana, at, 10, 30)
        again = Client(server.url, token=at.ben, positions=ben.positions, epoch=ben.epoch, options=SOON)
        async with again:
            assert texts(await take(again.records(), 30)) == [str(n) for n in range(10, 40)]


async def test_where_channels_start(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        await send_all(ana, at, 5)
    async with (
        Client(host.server.url, token=at.ben) as ben,
        Client(host.server.url, token=at.ben, from_beginning=True) as reader,
        Client(host.server.url, token=at.ana) as ana,
    ):
        new, everything = ben.records(), reader.records()
        await ana.send(at.target, "new")
        assert texts(await take(new, 1)) == ["new"]
        assert seqs(await take(everything, 6)) == list(range(1, 7))


async def test_another_history_is_told(dsn: str, tmp_path: Path, host: Host) -> None:
    """As after a restore: what is known is from another database than the server's."""
    with running_server(dsn, tmp_path) as server:
        elsewhere = booking_on(server)
        async with clients(elsewhere) as (ana, ben):
            await send_all(ana, elsewhere, 5)
            await take(ben.records(), 5)
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        first = await ana.send(at.target, "another world")
        async with Client(host.server.url, token=at.ben, positions=ben.positions, epoch=ben.epoch) as again:
            records = again.records()
            assert (again.positions, again.epoch) == (ben.positions, ben.epoch), "until the application knows"
            reset = await anext(records)
            assert reset == Reset(epoch=ana.epoch, positions={first.channel_id: 1})
            assert (again.positions, again.epoch) == (reset.positions, reset.epoch)
            await ana.send(at.target, "goes on")
            assert texts(await take(records, 1)) == ["goes on"]


async def test_a_log_that_is_shorter_than_what_is_known_is_another_history(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        message = await ana.send(at.target, "one")
        ahead = Client(host.server.url, token=at.ben, positions={message.channel_id: 7}, epoch=ana.ready.epoch)
        async with ahead:
            records = ahead.records()
            reset = await anext(records)
            assert isinstance(reset, Reset)
            assert reset.positions == {message.channel_id: 1}
            await ana.send(at.target, "two")
            assert seqs(await take(records, 1)) == [2]


async def test_slow_readers_are_cut_off_bounded_and_lose_nothing(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        at = booking_on(server)
        async with clients(at, Options(backoff=SOON.backoff, backlog=20)) as (ana, ben):
            records = ben.records()
            ahead = 0
            for n in range(20):
                await send_all(ana, at, FLOOD // 20, n * FLOOD // 20, length=5_000)
                ahead = max(ahead, len(ben._stream._waiting))
            assert texts(await take(records, FLOOD)) == [str(n).ljust(5_000, ".") for n in range(FLOOD)]
            assert ben.connections > 1, "it was cut off"
    assert ahead <= 20


async def test_whoever_answers_each_record_is_not_stuck_behind_a_long_log(host: Host) -> None:
    """Acknowledgements come by the same socket as the records that nobody has room for."""
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        await send_all(ana, at, 600)
    options = Options(backoff=SOON.backoff, backlog=50)
    async with (
        asyncio.timeout(PATIENCE_S),
        Client(host.server.url, token=at.ben, from_beginning=True, options=options) as ben,
    ):
        answered = 0
        async for record in ben.records():
            assert isinstance(record, MessageCreated)
            if record.message.sender.user_id.startswith("ana"):
                await ben.send(at.target, f"answer to {record.message.content}")
                answered += 1
            if record.message.content == "answer to 599":
                break
    assert answered == 600
    assert list(ben.positions.values()) == [1_200]


async def test_a_cancelled_wait_loses_nothing(host: Host) -> None:
    at = booking(host)
    async with clients(at) as (ana, ben):
        records = ben.records()
        heard: list[Record | Reset] = []
        sending = asyncio.create_task(send_one_by_one(ana, at, 100))
        while len(heard) < 100:
            with suppress(TimeoutError):
                heard.append(await asyncio.wait_for(anext(records), 0.001))
        await sending
        assert [record.seq for record in heard if isinstance(record, Record)] == list(range(1, 101))


async def test_a_second_iterator_takes_over(host: Host) -> None:
    at = booking(host)
    async with clients(at) as (ana, ben):
        first = ben.records()
        await send_all(ana, at, 10)
        await take(first, 3)
        second = ben.records()
        assert seqs(await take(second, 7)) == list(range(4, 11))
        with pytest.raises(RuntimeError, match="another iterator"):
            await anext(first)


async def test_membership_and_new_channels(host: Host) -> None:
    """Whoever is removed hears that as the last thing; a channel that came while the client was away is there whole."""
    at, other = booking(host), booking(host)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ben, options=SOON) as ben:
        records = ben.records()
        async with Client(host.server.url, token=at.ana) as ana, Client(host.server.url, token=other.ana) as dia:
            await ana.send(at.target, "1")
            assert texts(await take(records, 1)) == ["1"]
            line.hold()
            line.cut()
            await dia.send(other.target, "before")
            host.context(other.id, {f"ana-{other.id}": "worker", f"ben-{at.id}": "worker"})
            await dia.send(other.target, "after")
            host.context(at.id, {f"ana-{at.id}": "worker"})
            await ana.send(at.target, "not for ben")
            line.release()
            missed = await take(records, 4)
            assert "not for ben" not in texts(missed)
            host.context(other.id, {f"ana-{other.id}": "worker"})
            [left] = await take(records, 1)
            assert isinstance(left, ParticipantLeft)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(records), 0.3)


async def test_a_quiet_channel_among_very_many_is_not_taken_for_a_new_one(host: Host) -> None:
    assert await heard_of_a_quiet_channel(host) == ["again"]


async def test_the_same_check_finds_a_client_that_knows_no_quiet_channels(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: what `ready` has no room for isn't looked up."""
    monkeypatch.setattr(Client, "_name_channels", lambda _: asyncio.sleep(0))
    assert await heard_of_a_quiet_channel(host) == ["long ago"]


@asynccontextmanager
async def clients(at: Booking, options: Options = SOON) -> AsyncIterator[tuple[Client, Client]]:
    """Connect both."""
    url = at.server.url
    async with Client(url, token=at.ana, options=SOON) as ana, Client(url, token=at.ben, options=options) as ben:
        yield ana, ben


async def send_one_by_one(client: Client, at: Booking, count: int) -> None:
    """Send so many messages, each when the one before is acknowledged."""
    for n in range(count):
        await client.send(at.target, str(n))


async def heard_over_a_bad_line(host: Host) -> list[str]:
    """Return what somebody hears whose line is cut again and again while somebody else sends, over a bad line, too."""
    at = booking(host)
    async with (
        proxy(host.server.port) as line,
        Client(line.url, token=at.ana, options=SOON) as ana,
        Client(line.url, token=at.ben, options=SOON) as ben,
    ):
        records = ben.records()
        for n in range(CUTS):
            sending = asyncio.create_task(send_all(ana, at, SENT // CUTS, n * SENT // CUTS))
            await asyncio.sleep(0.01)
            line.cut()
            await sending
        await ana.send(at.target, "last")
        return await until_last(records)


async def until_last(records: Records) -> list[str]:
    """Return what is said before `last`, or within some time where that never comes."""
    heard: list[str] = []
    try:
        async with asyncio.timeout(5):
            async for record in records:
                if isinstance(record, MessageCreated):
                    if record.message.content == "last":
                        return heard
                    heard.append(record.message.content)
    except TimeoutError:
        pass
    return heard


async def heard_of_a_quiet_channel(host: Host) -> list[str]:
    """Return what is heard first of the quietest of many channels in which somebody wrote while the line was cut."""
    at = booking(host)
    async with proxy(host.server.port) as line, Client(host.server.url, token=at.ana) as ana:
        await ana.send(at.target, "long ago")
        for n in range(NAMED_IN_READY):
            host.context(f"{at.id}-{n}", {f"ana-{at.id}": "worker", f"ben-{at.id}": "worker"})
            await ana.send(("booking", f"{at.id}-{n}"), "hello")
        async with Client(line.url, token=at.ben, options=SOON) as ben:
            assert ben.ready.more
            assert ben._naming is not None
            await asyncio.wait_for(ben._naming, PATIENCE_S)
            line.hold()
            line.cut()
            await ana.send(at.target, "again")
            line.release()
            return texts(await take(ben.records(), 1))

"""Tokens, what ends a client for good, what doesn't, and that nothing is left of it."""

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from parley_client import Backoff, Client, ClientError, Options, Receipt, Stopped, connector
from tests.client.people import SOON, booking, booking_on, send_all, take, texts
from tests.client.proxy import proxy
from tests.support.chat import chat
from tests.support.servers import Host, running_server
from tests.support.tokens import token

FREQUENT = Options(backoff=SOON.backoff, heartbeat_s=0.3)


async def test_a_token_is_replaced_before_it_ends_on_the_same_connection(host: Host) -> None:
    at = booking(host)
    fetched: list[str] = []

    async def fetch() -> str:
        fetched.append(token(f"ana-{at.id}", lives_s=4))
        return fetched[-1]

    async with Client(host.server.url, token=fetch, options=SOON) as ana:
        await ana.send(at.target, "one")
        await asyncio.sleep(5)
        await ana.send(at.target, "two")
        assert ana.connections == 1
    assert len(fetched) >= 2


async def test_the_only_token_ends_and_with_it_the_client(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=token(f"ana-{at.id}", lives_s=2), options=SOON) as ana:
        with pytest.raises(Stopped) as stopped:
            await asyncio.wait_for(anext(ana.records()), 20)
    assert stopped.value.code == 4401


async def test_a_token_that_is_refused_is_replaced_once(host: Host) -> None:
    at = booking(host)
    given = ["not a token"]

    async def fetch() -> str:
        given.append(at.ana if len(given) > 1 else "nor this")
        return given[-1]

    async with Client(host.server.url, token=fetch, options=SOON) as ana:
        await ana.send(at.target, "one")
    assert given[1:] == ["nor this", at.ana]


async def test_a_fresh_token_that_is_refused_ends_it(host: Host) -> None:
    async def fetch() -> str:
        return "not a token"

    with pytest.raises(Stopped) as stopped:
        async with Client(host.server.url, token=fetch, options=SOON):
            pass
    assert stopped.value.code == 4401


async def test_whoever_can_give_no_token_is_asked_again_or_ends_it(host: Host) -> None:
    at = booking(host)
    answers: list[Exception] = [ValueError("no such secret"), ConnectionRefusedError()]

    async def fetch() -> str:
        if answers:
            raise answers.pop()
        return at.ana

    with pytest.raises(ValueError, match="no such secret"):
        async with Client(host.server.url, token=fetch, options=SOON):
            pass
    assert answers == []


async def test_deactivation_ends_it(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana, options=SOON) as ana:
        await ana.send(at.target, "one")
        host.http.delete(f"/api/users/ana-{at.id}").raise_for_status()
        with pytest.raises(Stopped) as stopped:
            await asyncio.wait_for(anext(ana.records()), 20)
        assert stopped.value.code == 4404
        with pytest.raises(Stopped):
            await ana.send(at.target, "two")


async def test_too_many_sockets_end_the_newest(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, PARLEY_MAX_SOCKETS_PER_USER="1") as server:
        at = booking_on(server)
        async with Client(server.url, token=at.ana, options=SOON):
            with pytest.raises(Stopped) as stopped:
                async with Client(server.url, token=at.ana, options=SOON):
                    pass
    assert stopped.value.code == 4429


async def test_sockets_that_the_server_still_counts_are_waited_for(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network took a connection, and the server has yet to notice: it has another socket of the same person."""
    monkeypatch.setattr(connector, "LOST_SOCKETS_S", 0.2)
    with running_server(dsn, tmp_path, PARLEY_MAX_SOCKETS_PER_USER="1") as server:
        at = booking_on(server)
        async with proxy(server.port) as line, Client(line.url, token=at.ana, options=SOON) as ana:
            line.busy = True
            line.cut()
            while not line.answered_busy:
                await asyncio.sleep(0.01)
            async with chat(server.ws_url, at.ana):
                line.busy = False
                sending = asyncio.create_task(ana.send(at.target, "one"))
                await asyncio.sleep(3)
                assert not sending.done()
            await sending
            assert ana.connections == 2


async def test_a_wrong_address_is_said(host: Host) -> None:
    with pytest.raises(Stopped, match="/elsewhere/ws/chat"):
        async with Client(f"{host.server.url}/elsewhere", token="t", options=SOON):
            pass


async def test_a_busy_server_is_left_alone_as_long_as_it_asks(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line:
        line.busy = True
        client = Client(line.url, token=at.ana, options=SOON)
        entering = asyncio.create_task(client.__aenter__())
        while len(line.answered_busy) < 2:
            await asyncio.sleep(0.05)
        line.busy = False
        await entering
        await client.send(at.target, "one")
        await client.close()
    assert line.answered_busy[1] - line.answered_busy[0] >= 1


async def test_a_full_server_is_asked_again(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, PARLEY_MAX_SOCKETS="1") as server:
        at = booking_on(server)
        async with Client(server.url, token=at.ana, options=SOON):
            entering = asyncio.create_task(Client(server.url, token=at.ben, options=SOON).__aenter__())
            await asyncio.sleep(0.5)
            assert not entering.done()
        await (await entering).close()


async def test_a_client_is_entered_once(host: Host) -> None:
    at = booking(host)
    client = Client(host.server.url, token=at.ana)
    with pytest.raises(ClientError, match="not connected yet"):
        _ = client.ready
    async with client:
        assert client.ready.user_id == f"ana-{at.id}"
    with pytest.raises(ClientError, match="entered once"):
        await client.__aenter__()


async def test_a_server_that_starts_later_is_waited_for(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        at = booking_on(server)
        server.stop()
        entering = asyncio.create_task(Client(server.url, token=at.ana, options=SOON).__aenter__())
        await asyncio.sleep(0.3)
        assert not entering.done()
        await asyncio.to_thread(server.start)
        await (await entering).close()


async def test_a_silent_line_is_noticed(host: Host) -> None:
    """Nothing comes and nothing goes, and nobody says so."""
    at = booking(host)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ana, options=FREQUENT) as ana:
        line.hold()
        sending = asyncio.create_task(ana.send(at.target, "one"))
        while ana._connector.is_connected:
            await asyncio.sleep(0.05)
        line.release()
        await sending
        assert ana.connections == 2


async def test_what_was_read_reaches_the_server_even_at_the_last_moment(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana, options=SOON) as ana:
        await send_all(ana, at, 3)
    async with proxy(host.server.port) as line, Client(line.url, token=at.ben, options=SOON) as ben:
        [head] = ben.ready.channels
        assert (head.last_seq, head.last_read_seq, head.unread_count) == (3, 0, 3)
        line.cut()
        ben.mark_read(head.channel_id, 2)
        ben.mark_read(head.channel_id, 1)
        while ben.connections < 2:
            await asyncio.sleep(0.01)
    assert await read_up_to(host, at.ben, 2)


async def test_nothing_is_left_running(host: Host) -> None:
    at = booking(host)
    before = asyncio.all_tasks()
    for _ in range(3):
        async with Client(host.server.url, token=at.ben, options=SOON) as ben:
            reading = asyncio.create_task(take(ben.records(), 1))
            async with Client(host.server.url, token=at.ana, options=SOON) as ana:
                await ana.send(at.target, "one")
            assert texts(await reading) == ["one"]
        with pytest.raises(StopAsyncIteration):
            await anext(ben.records())
        assert [event async for event in ben.ephemeral() if not isinstance(event, Receipt)] == []
    entering = asyncio.create_task(Client("http://127.0.0.1:1", token="t").__aenter__())
    await asyncio.sleep(0.1)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def test_a_failure_inside_ends_it_loudly(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug must not look like a bad line."""

    async def fail(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    at = booking(host)
    async with Client(host.server.url, token=at.ana, options=SOON) as ana:
        monkeypatch.setattr(ClientConnection, "send", fail)
        with pytest.raises(LookupError):
            await asyncio.wait_for(send_all(ana, at, 10), 10)


def test_attempts_are_spread_and_bounded() -> None:
    backoff = Backoff(base_s=1, cap_s=30)
    for attempt, widest in [(0, 1), (1, 2), (3, 8), (5, 30), (10_000, 30)]:
        delays = [backoff.delay_s(attempt) for _ in range(2_000)]
        assert 0 <= min(delays) < widest * 0.05
        assert widest * 0.95 < max(delays) <= widest
    assert backoff.delay_s(0, 5) >= 5


async def read_up_to(host: Host, token: str, seq: int) -> bool:
    """Wait until the server knows that somebody has read so far, and no further."""
    async with asyncio.timeout(10):
        while True:
            async with Client(host.server.url, token=token) as client:
                [head] = client.ready.channels
            if head.last_read_seq:
                return head.last_read_seq == seq
            await asyncio.sleep(0.05)

"""Resume: exactly the records after the last one seen, in order, from any instance, and then live without a seam."""

import asyncio
import socket as sockets
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from uuid import uuid4

import pytest

from kernel.database import Database
from tests.support.chat import Chat, Frame, chat
from tests.support.log import Log, damage, read
from tests.support.pens import pen
from tests.support.servers import Host, Server, running_server

LONG_LOG = 5_000
LIVE = 40


async def test_from_every_place_across_restarts_and_from_another_process(dsn: str, tmp_path: Path, host: Host) -> None:
    """The epoch is the same for all of them, and another on another database, as after a restore."""
    epochs = []
    with running_server(dsn, tmp_path / "one") as server, running_server(dsn, tmp_path / "two") as other:
        own = Host(server, server.cli("keys", "create", "tests"))
        with own.http:
            ana, ben = own.user("ana"), own.user("ben")
            own.context("b1", {"ana": "worker", "ben": "supervisor"})
            async with chat(server.ws_url, ana) as at_ana:
                for n in range(5):
                    await at_ana.message(f"before {n}", context={"type": "booking", "id": "b1"})
            own.context("b1", {"ana": "worker", "ben": "lender_admin"}, status="closed")
            own.context("b1", {"ana": "worker", "ben": "lender_admin"})
        log = await read(dsn, "b1")
        assert damage(log) == []
        epochs.append(await everything_missed_is_sent(server.ws_url, ben, log))
        epochs.append(await everything_missed_is_sent(other.ws_url, ben, log))
        server.kill()
        server.start()
        epochs.append(await everything_missed_is_sent(server.ws_url, ben, log))
    async with chat(host.server.ws_url, host.user("elsewhere")) as socket:
        assert {socket.ready["epoch"]} != set(epochs)
    assert len(set(epochs)) == 1


async def test_a_long_log_under_live_traffic(dsn: str, tmp_path: Path) -> None:
    """With pages so small that the traffic comes in the midst of it."""
    with running_server(dsn, tmp_path, variant="small_pages") as server:
        frames, name = await resumed_under_traffic(server)
    log = await read(dsn, name)
    assert log.last_seq == LONG_LOG + LIVE
    assert [frame["seq"] for frame in frames] == list(range(1, log.last_seq + 1))
    assert frames == [log.frame(seq) for seq in range(1, log.last_seq + 1)]


@pytest.mark.long
@pytest.mark.parametrize("variant", ["no_catch_up", "no_hold_while_resuming"])
async def test_the_same_check_finds_a_resume_that_leaves_out_or_mixes(dsn: str, tmp_path: Path, variant: str) -> None:
    """The broken variants: nothing is sent, or live frames overtake what was missed."""
    with running_server(dsn, tmp_path, variant=variant) as server:
        frames, _ = await resumed_under_traffic(server)
    assert [frame["seq"] for frame in frames] != list(range(1, LONG_LOG + LIVE + 1))


async def test_long_messages_reach_a_reader_on_a_narrow_line(host: Host) -> None:
    """A page of these is many times what may wait in a socket's queue: resuming waits for the reader."""
    at = await Booking.make(host)
    await at.fill(600, "👋" * 5_000)
    async with chat(host.server.ws_url, at.ben, sock=narrow(host.server.port)) as socket:
        await resume(socket, {at.channel: 0})
        frames = await until_resumed(socket)
    assert [frame["seq"] for frame in frames] == list(range(1, 601))


async def test_several_channels_and_those_of_others_are_ignored(host: Host) -> None:
    one, two, foreign = [await Booking.make(host, "resumer") for _ in range(2)] + [await Booking.make(host)]
    for at in (one, two, foreign):
        await at.fill(20)
    async with chat(host.server.ws_url, one.ben) as socket:
        unknown = str(uuid4())
        await resume(socket, {one.channel: 15, foreign.channel: 0, unknown: 3, two.channel: 20})
        frames = await until_resumed(socket)
    assert [(frame["channel_id"], frame["seq"]) for frame in frames] == [(one.channel, n) for n in range(16, 21)]
    told = socket.seen[-1]
    assert "reset" not in told
    assert {(head["channel_id"], head["last_seq"]) for head in told["channels"]} == {
        (one.channel, 20),
        (two.channel, 20),
    }


async def test_a_client_from_another_history_is_told_to_reload(host: Host) -> None:
    at = await Booking.make(host)
    await at.fill(10)
    assert await is_reset(at, 3, epoch="another")
    assert await is_reset(at, 11), "it knows more than there is: the log was restored from a backup"
    assert not await is_reset(at, 10)


@pytest.mark.long
async def test_the_same_check_finds_a_server_that_takes_any_history_for_its_own(dsn: str, tmp_path: Path) -> None:
    """The broken variant: epochs aren't compared."""
    with running_server(dsn, tmp_path, variant="any_epoch") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            at = await Booking.make(host)
            await at.fill(10)
            assert not await is_reset(at, 3, epoch="another")


async def test_sends_on_the_same_socket_during_a_resume(host: Host) -> None:
    at = await Booking.make(host)
    await at.fill(2_000)
    async with chat(host.server.ws_url, at.ben) as socket:
        where = {"type": "booking", "id": at.name}
        for n in range(3):
            await socket.send(type="message.send", ref=f"a{n}", client_id=f"a{n}", content="before", context=where)
        await resume(socket, {at.channel: 0})
        for n in range(3):
            await socket.send(type="message.send", ref=f"b{n}", client_id=f"b{n}", content="after", context=where)
        while sum(frame["type"] == "ack" for frame in socket.seen) < 6:
            await socket.receive()
    log = await read(at.dsn, at.name)
    heard = {frame["seq"] for frame in socket.seen if "seq" in frame}
    assert heard == set(range(1, log.last_seq + 1))
    assert [frame["type"] for frame in socket.seen].count("error") == 0
    created = [frame["seq"] for frame in socket.seen if frame["type"] == "message.created"]
    assert created == sorted(set(created)), "in order, none twice"


class Booking:
    """Two people, and a channel that holds whatever it was filled with."""

    def __init__(self, host: Host, name: str, ben: str) -> None:
        self.host = host
        self.dsn = host.server.environment["DATABASE_URL"]
        self.name = name
        self.ana = host.token(f"ana-{name}")
        self.ben = host.token(ben)
        self.channel = ""

    @classmethod
    async def make(cls, host: Host, ben: str | None = None) -> "Booking":
        """Make the people and their booking."""
        name = uuid4().hex[:8]
        ben = ben or f"ben-{name}"
        for person in (f"ana-{name}", ben):
            host.user(person)
        host.context(name, {f"ana-{name}": "worker", ben: "supervisor"})
        return cls(host, name, ben)

    async def fill(self, count: int, content: str = "hello") -> None:
        """Have `count` messages written, by another process as far as the server knows."""
        database = await Database.connect(self.dsn, size=2)
        try:
            async with pen(database) as writer:
                user = f"ana-{self.name}"
                sent = [writer.submit(self.name, user, f"c{n}", content) for n in range(count)]
                await asyncio.gather(*sent)
        finally:
            await database.close()
        self.channel = (await read(self.dsn, self.name)).channel_id

    async def resumed_under_traffic(self) -> list[Frame]:
        """Resume from the beginning, and have somebody write meanwhile; returns the durable frames, as they came."""
        async with chat(self.host.server.ws_url, self.ben) as socket, chat(self.host.server.ws_url, self.ana) as other:
            await resume(socket, {self.channel: 0})
            await socket.receive("message.created", "resumed")
            for n in range(LIVE):
                text = {"content": f"live {n}", "client_id": f"l{n}", "channel_id": self.channel}
                await other.send(type="message.send", ref=f"l{n}", **text)
            while socket.seen[-1].get("seq") != LONG_LOG + LIVE:
                await socket.receive()
        return [frame for frame in socket.seen if "seq" in frame]


async def resumed_under_traffic(server: Server) -> tuple[list[Frame], str]:
    """Return what somebody hears who resumes a long log from its beginning while somebody else writes."""
    host = Host(server, server.cli("keys", "create", "tests"))
    with host.http:
        at = await Booking.make(host)
        await at.fill(LONG_LOG)
        return await at.resumed_under_traffic(), at.name


async def is_reset(at: Booking, after: int, *, epoch: str | None = None) -> bool:
    """Whether a resume from there is answered with a reset, and then with nothing else."""
    async with chat(at.host.server.ws_url, at.ben) as socket:
        await resume(socket, {at.channel: after}, epoch=epoch)
        frames = await until_resumed(socket)
        reset = socket.seen[-1].get("reset", False)
    assert len(frames) == (0 if reset else 10 - after)
    return bool(reset)


async def everything_missed_is_sent(url: str, token: str, log: Log) -> str:
    """Resume from every place and compare with the log; returns the epoch."""
    async with chat(url, token) as socket:
        for after in range(log.last_seq + 1):
            await resume(socket, {log.channel_id: after})
            expected = [log.frame(seq) for seq in range(after + 1, log.last_seq + 1)]
            assert await until_resumed(socket) == expected
            assert socket.seen[-1]["channels"] == [{"channel_id": log.channel_id, "last_seq": log.last_seq}]
        return str(socket.ready["epoch"])


def narrow(port: int) -> sockets.socket:
    """Connect with a buffer that takes in little at a time."""
    line = sockets.socket()
    line.setsockopt(SOL_SOCKET, SO_RCVBUF, 16_384)
    line.connect(("127.0.0.1", port))
    return line


async def resume(socket: Chat, after: dict[str, int], *, epoch: str | None = None) -> None:
    """Ask for what was missed."""
    channels = [{"channel_id": channel, "after_seq": seq} for channel, seq in after.items()]
    await socket.send(type="resume", ref="r", epoch=epoch or socket.ready["epoch"], channels=channels)


async def until_resumed(socket: Chat) -> list[Frame]:
    """Return the durable frames that come before `resumed`."""
    start = len(socket.seen)
    await socket.receive("resumed")
    return [frame for frame in socket.seen[start:-1] if "seq" in frame]

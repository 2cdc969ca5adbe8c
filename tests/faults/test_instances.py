"""Two instances on one database: everybody hears everything, in order and once, whatever happens to Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.support.chat import Chat, chat
from tests.support.databases import Databases
from tests.support.instances import until
from tests.support.log import damage
from tests.support.partition import Partition, partition
from tests.support.promises import broken_promises
from tests.support.redis_server import RedisServer, running_redis
from tests.support.servers import Host, Server, running_server
from tests.support.talker import Talker, settled, talking, under_load

REVOKED_WITHIN_S = 1.0
ATTEMPTS = 4
"""What is promised within a time takes longer where the machine is busy with other things; not every time, though."""
LOOKED_WITHIN_S = 1.5
FOUND_WITHIN_S = 30.0
"""Far more than an instance waits before it looks for what nobody told it: it is to be found, however busy all are."""
NEVER_S = 6.0
"""Twice and more what it waits: what isn't found by then isn't looked for."""


class Pair(msgspec.Struct):
    """Two instances; the second one's way to Redis can fail by itself."""

    dsn: str
    redis: RedisServer
    network: Partition
    one: Server
    two: Server
    host: Host


@contextmanager
def running_pair(dsn: str, directory: Path, *, variant: str | None = None) -> Iterator[Pair]:
    """Run two instances and a Redis."""
    directory.mkdir(exist_ok=True)
    with running_redis(directory) as redis, partition(redis.port) as network:
        ways = (redis.url, f"redis://127.0.0.1:{network.port}")
        with (
            running_server(dsn, directory / "one", variant=variant, REDIS_URL=ways[0]) as one,
            running_server(dsn, directory / "two", variant=variant, REDIS_URL=ways[1]) as two,
        ):
            host = Host(one, one.cli("keys", "create", "tests"))
            with host.http:
                yield Pair(dsn, redis, network, one, two, host)


@pytest.fixture(scope="module")
def pair(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with postgres.fresh() as dsn, running_pair(dsn, tmp_path_factory.mktemp("pair")) as running:
        yield running


def spread(pair: Pair) -> list[Talker]:
    """Return four talkers of one new booking, two at each instance; its channel is there already."""
    name = uuid4().hex
    people = [f"{who}-{name[:6]}" for who in ("ana", "ben", "cem", "dia")]
    tokens = {person: pair.host.user(person) for person in people}
    pair.host.context(name, dict.fromkeys(people, "worker"))
    with pair.host.person(tokens[people[0]]) as first:
        body = {"client_id": uuid4().hex, "content": "first"}
        first.post(f"/api/contexts/booking/{name}/messages", json=body).raise_for_status()
    servers = (pair.one, pair.two, pair.one, pair.two)
    return [Talker(s.url, tokens[p], name, name=p) for s, p in zip(servers, people, strict=True)]


def out_of_step(talkers: list[Talker]) -> list[str]:
    """Return who saw a gap on the socket that they had all along."""
    return [talker.name for talker in talkers if talker.sockets == 1 and not in_step(talker)]


def in_step(talker: Talker) -> bool:
    """Whether each frame followed those before, once the talker had caught up.

    One that was in the log already when it came may come again.
    """
    reached = 0
    for frame in talker.frames:
        if frame["seq"] > reached + 1 and reached:
            return False
        reached = max(reached, frame["seq"]) if reached or frame["seq"] == 1 else 0
    return True


async def test_everybody_hears_both_instances_in_order_and_once(pair: Pair) -> None:
    talkers = spread(pair)
    async with talking(*talkers):
        await under_load(talkers)
        found = await settled(pair.dsn, talkers)
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    assert out_of_step(talkers) == []
    assert [talker.sockets for talker in talkers] == [1] * 4


@pytest.mark.long
async def test_the_check_finds_frames_that_go_out_as_they_come_in(dsn: str, tmp_path: Path) -> None:
    """The broken variant: without feeds what two instances commit passes through in any order."""
    with running_pair(dsn, tmp_path / "pair", variant="no_feeds") as pair:
        found = False
        async with asyncio.timeout(60):
            while not found:
                talkers = spread(pair)
                async with talking(*talkers):
                    await under_load(talkers)
                    found = out_of_step(talkers) != []


Trouble = Callable[[Pair], None]
TROUBLES: dict[str, tuple[Trouble, Trouble]] = {
    "killed": (lambda pair: pair.redis.kill(), lambda pair: pair.redis.start()),
    "paused": (lambda pair: pair.redis.pause(), lambda pair: pair.redis.resume()),
    "cut off from one": (lambda pair: pair.network.cut(), lambda pair: pair.network.heal()),
    "stalled for one": (lambda pair: pair.network.stall(), lambda pair: pair.network.heal()),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_happens_to_redis_messages_arrive(pair: Pair, trouble: str) -> None:
    """They are acknowledged all the time; the other instance catches up from the log, then all is as before."""
    begin, end = TROUBLES[trouble]
    talkers = spread(pair)
    async with talking(*talkers):
        await under_load(talkers)
        await asyncio.to_thread(begin, pair)
        await under_load(talkers)
        for talker in talkers:  # all that was said is heard everywhere, with Redis away
            talker.talking = False
        during = await settled(pair.dsn, talkers)
        await asyncio.to_thread(end, pair)
        for talker in talkers:
            talker.talking = True
        await under_load(talkers)
        found = await settled(pair.dsn, talkers)
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    assert out_of_step(talkers) == []
    assert found.last_seq > during.last_seq
    assert [talker.sockets for talker in talkers] == [1] * 4, "no socket suffers from it"


@asynccontextmanager
async def two_in_a_booking(pair: Pair) -> AsyncIterator[tuple[str, dict[str, Chat], str]]:
    """Open a booking of ana, at the first instance, and ben, at the second; gives its id, sockets and channel."""
    name = uuid4().hex
    tokens = {who: pair.host.user(who) for who in ("ana", "ben")}
    pair.host.context(name, {"ana": "worker", "ben": "supervisor"})
    async with chat(pair.one.ws_url, tokens["ana"]) as ana, chat(pair.two.ws_url, tokens["ben"]) as ben:
        ack = await ana.message("hello", context={"type": "booking", "id": name})
        yield name, {"ana": ana, "ben": ben}, ack["channel_id"]


async def heard(socket: Chat, channel: str, *types: str, within_s: float = FOUND_WITHIN_S) -> dict[str, Any]:
    """Return the next frame of these types about a channel."""
    async with asyncio.timeout(within_s):
        while (frame := await socket.receive(*types, patience_s=within_s)).get("channel_id") != channel:
            pass
    return frame


@pytest.mark.parametrize("redis", ["there", "away"])
async def test_a_new_channel_and_a_new_participant_are_known_everywhere(pair: Pair, redis: str) -> None:
    if redis == "away":
        pair.redis.kill()
    try:
        dia = pair.host.user("dia")
        async with chat(pair.two.ws_url, dia) as late, two_in_a_booking(pair) as (name, sockets, channel):
            first = await heard(sockets["ben"], channel, "message.created")
            assert first["seq"] == 1
            await asyncio.to_thread(
                pair.host.context, name, {"ana": "worker", "ben": "supervisor", "dia": "lender_admin"}
            )
            joined = await heard(late, channel, "participant.joined")
            await sockets["ana"].message("welcome", channel_id=channel)
            welcome = await heard(late, channel, "message.created")
        assert (joined["user_id"], joined["seq"], welcome["seq"]) == ("dia", 2, 3)
    finally:
        if redis == "away":
            pair.redis.start()


async def test_who_is_let_in_while_the_database_is_away_hears_of_it_when_it_is_back(pair: Pair, tmp_path: Path) -> None:
    """Nothing else happens in the channel that would show what they have missed."""
    dia = pair.host.user("dia")
    with running_server(pair.dsn, tmp_path, variant="away_once", REDIS_URL=pair.redis.url) as unlucky:
        async with chat(unlucky.ws_url, dia) as late, two_in_a_booking(pair) as (name, _, channel):
            people = {"ana": "worker", "ben": "supervisor", "dia": "lender_admin"}
            await asyncio.to_thread(pair.host.context, name, people)
            joined = await heard(late, channel, "participant.joined")
    assert (joined["user_id"], joined["seq"]) == ("dia", 2)


async def removal(pair: Pair) -> tuple[float, bool]:
    """Remove somebody who is at the other instance; returns after how long they heard of it, and whether of more."""
    async with two_in_a_booking(pair) as (name, sockets, channel):
        await heard(sockets["ben"], channel, "message.created")
        started = time.monotonic()
        await asyncio.to_thread(pair.host.context, name, {"ana": "worker"})
        left = await heard(sockets["ben"], channel, "participant.left")
        took = time.monotonic() - started
        await sockets["ana"].message("between us", channel_id=channel)
        await asyncio.sleep(LOOKED_WITHIN_S)
        await sockets["ben"].send(type="ping", ref="after")
        await sockets["ben"].receive("pong")
    assert left["user_id"] == "ben"
    return took, "between us" in str(sockets["ben"].seen)


@pytest.mark.parametrize("redis", ["there", "away"])
async def test_who_is_removed_hears_nothing_more_on_any_instance(pair: Pair, redis: str) -> None:
    if redis == "away":
        pair.redis.kill()
    try:
        removals = [await removal(pair)]
        while removals[-1][0] >= REVOKED_WITHIN_S and len(removals) < ATTEMPTS:
            removals.append(await removal(pair))
    finally:
        if redis == "away":
            pair.redis.start()
    assert min(took for took, _ in removals) < REVOKED_WITHIN_S
    assert not any(told_more for _, told_more in removals)


@pytest.mark.long
async def test_the_check_finds_an_instance_at_which_the_removed_still_listen(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_pair(dsn, tmp_path / "pair", variant="deaf_to_removal") as pair:
        _, told_more = await removal(pair)
    assert told_more


async def test_a_client_id_is_one_message_at_both_instances(pair: Pair) -> None:
    async with two_in_a_booking(pair) as (_, sockets, channel):
        first = await sockets["ana"].message("once", client_id="c1", channel_id=channel)
        async with chat(pair.two.ws_url, pair.host.token("ana")) as elsewhere:
            again = await elsewhere.message("once", client_id="c1", channel_id=channel)
            other = await elsewhere.message("twice", client_id="c1", channel_id=channel)
    assert (again["seq"], again["message"]) == (first["seq"], first["message"])
    assert other["problem"]["type"] == "/problems/client-id-conflict"


async def test_what_was_said_at_one_instance_is_resumed_at_the_other(pair: Pair) -> None:
    async with two_in_a_booking(pair) as (_, sockets, channel):
        for n in range(40):
            await sockets["ana"].message(f"{n}", channel_id=channel)
        async with chat(pair.two.ws_url, pair.host.token("ben")) as back:
            assert back.ready["epoch"] == sockets["ana"].ready["epoch"]
            missed = [{"channel_id": channel, "after_seq": 11}]
            await back.send(type="resume", ref="r", epoch=back.ready["epoch"], channels=missed)
            resumed = await back.receive("resumed")
    assert [frame["seq"] for frame in back.seen if "seq" in frame] == list(range(12, 42))
    assert resumed["channels"] == [{"channel_id": channel, "last_seq": 41}]


async def test_what_is_read_at_one_instance_is_seen_at_the_other(pair: Pair) -> None:
    async with two_in_a_booking(pair) as (_, sockets, channel):
        await heard(sockets["ben"], channel, "message.created")
        await sockets["ben"].send(type="read", channel_id=channel, seq=1)
        told = [await heard(sockets[who], channel, "receipt") for who in ("ana", "ben")]
    assert {(t["user_id"], t["last_read_seq"]) for t in told} == {("ben", 1)}


@contextmanager
def troubled(pair: Pair, trouble: str) -> Iterator[Callable[[], None]]:
    """Make trouble, wait until it is noticed, and give what ends it; at the latest it ends with the block."""
    begin, end = TROUBLES[trouble]
    with ExitStack() as trouble_ends:
        trouble_ends.callback(end, pair)
        begin(pair)
        servers = [pair.two] if "one" in trouble else [pair.one, pair.two]
        deadline = time.monotonic() + FOUND_WITHIN_S
        while not all(redis_at(server).startswith("away") for server in servers):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield trouble_ends.close


def redis_at(server: Server) -> str:
    """Return what an instance says of Redis."""
    answer = httpx.get(f"{server.url}/health/ready", trust_env=False)
    return str(answer.json()["checks"]["redis"])


async def read_in_trouble(pair: Pair, trouble: str, reader: str, *, within_s: float = FOUND_WITHIN_S) -> object:
    """Have one of two read meanwhile; returns what the other is told, before it ends if they are to look themselves."""
    other = "ana" if reader == "ben" else "ben"
    async with two_in_a_booking(pair) as (_, sockets, channel):
        await heard(sockets["ben"], channel, "message.created")
        with troubled(pair, trouble) as end:
            await sockets[reader].send(type="read", channel_id=channel, seq=1)
            await heard(sockets[reader], channel, "receipt")
            if "one" in trouble and other == "ana":
                await asyncio.to_thread(end)
            told = await heard(sockets[other], channel, "receipt", within_s=within_s)
    return told["user_id"], told["last_read_seq"]


@pytest.mark.parametrize(
    ("trouble", "reader"),
    [
        ("killed", "ben"),
        ("paused", "ana"),
        ("cut off from one", "ana"),
        ("cut off from one", "ben"),
        ("stalled for one", "ben"),
    ],
)
async def test_what_is_read_whatever_happens_to_redis_is_seen_soon(pair: Pair, trouble: str, reader: str) -> None:
    """Who knows of an outage looks; who doesn't, since only the other was cut off, is told by them when it is over."""
    assert await read_in_trouble(pair, trouble, reader) == (reader, 1)


async def read_where_one_listens_late(pair: Pair, directory: Path, variant: str, within_s: float) -> object:
    """Have ben read what ana opened a channel with, before her instance's subscription has taken effect."""
    name = uuid4().hex
    tokens = {who: pair.host.user(who) for who in ("ana", "ben")}
    pair.host.context(name, {"ana": "worker", "ben": "supervisor"})
    with running_server(pair.dsn, directory, variant=variant, REDIS_URL=pair.redis.url) as late:
        async with chat(late.ws_url, tokens["ana"]) as ana, chat(pair.one.ws_url, tokens["ben"]) as ben:
            channel = (await ana.message("hello", context={"type": "booking", "id": name}))["channel_id"]
            await heard(ben, channel, "message.created")
            await ben.send(type="read", channel_id=channel, seq=1)
            told = await heard(ana, channel, "receipt", within_s=within_s)
    return told["user_id"], told["last_read_seq"]


async def test_what_is_read_before_an_instance_listens_is_seen_there(pair: Pair, tmp_path: Path) -> None:
    assert await read_where_one_listens_late(pair, tmp_path, "listens_late", FOUND_WITHIN_S) == ("ben", 1)


@pytest.mark.long
async def test_the_check_finds_receipts_that_are_told_once(pair: Pair, dsn: str, tmp_path: Path) -> None:
    """The broken variant: what Redis lost is lost."""
    with pytest.raises(TimeoutError):
        await read_where_one_listens_late(pair, tmp_path / "late", "listens_late_and_tells_once", NEVER_S)
    with running_pair(dsn, tmp_path / "pair", variant="tells_once") as forgetful, pytest.raises(TimeoutError):
        await read_in_trouble(forgetful, "cut off from one", "ben", within_s=NEVER_S)


async def test_what_an_instance_committed_and_took_to_its_grave_is_found(pair: Pair, tmp_path: Path) -> None:
    """Killed after the commit and before anybody was told."""
    name = uuid4().hex
    tokens = {who: pair.host.user(who) for who in ("ana", "ben")}
    pair.host.context(name, {"ana": "worker", "ben": "supervisor"})
    with running_server(pair.dsn, tmp_path, variant="dies_after_commit", REDIS_URL=pair.redis.url) as doomed:
        async with chat(pair.one.ws_url, tokens["ana"]) as ana, chat(pair.two.ws_url, tokens["ben"]) as ben:
            channel = (await ana.message("one", context={"type": "booking", "id": name}))["channel_id"]
            await heard(ben, channel, "message.created")
            async with chat(doomed.ws_url, tokens["ana"]) as grave:
                await grave.send(type="message.send", ref="r", client_id=uuid4().hex, content="two", channel_id=channel)
                await grave.closed()
            told = await heard(ben, channel, "message.created")
        assert (told["seq"], told["message"]["content"]) == (2, "two")


@pytest.mark.long
async def test_the_check_finds_an_instance_that_looks_for_nothing(dsn: str, tmp_path: Path) -> None:
    """The broken variant: nobody reads the log when Redis is silent."""
    with running_pair(dsn, tmp_path / "pair", variant="deaf_to_the_log") as pair:
        async with two_in_a_booking(pair) as (_, sockets, channel):
            await heard(sockets["ben"], channel, "message.created")
            pair.redis.kill()
            await sockets["ana"].message("unheard", channel_id=channel)
            with pytest.raises(TimeoutError):
                await heard(sockets["ben"], channel, "message.created", within_s=NEVER_S)
            pair.redis.start()


async def test_an_instance_without_redis_says_so_and_stays_ready(pair: Pair) -> None:
    def ready() -> tuple[int, str]:
        answer = httpx.get(f"{pair.one.url}/health/ready", trust_env=False)
        return answer.status_code, answer.json()["checks"]["redis"]

    pair.redis.kill()
    try:
        await until(lambda: ready()[1].startswith("away"))
        assert ready()[0] == 200
    finally:
        pair.redis.start()
    await until(lambda: ready() == (200, "ok"))

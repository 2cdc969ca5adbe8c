"""What only HTTP does, through the client."""

from pathlib import Path

import aiohttp
import pytest

from parley_client import Backoff, Client, Refused
from parley_client.http import Http
from parley_client.tokens import Token
from tests.client.people import SOON, booking, booking_on, send_all
from tests.client.proxy import proxy
from tests.support.servers import Host, running_server

AT_ONCE = Backoff(base_s=0.01, cap_s=0.01)


async def test_pages_of_history(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana, options=SOON) as ana:
        message = await ana.send(at.target, "0")
        await send_all(ana, at, 9, 1)
        pages = {
            (): [8, 9, 10],
            (("before_seq", 4),): [1, 2, 3],
            (("after_seq", 4),): [5, 6, 7],
        }
        for place, expected in pages.items():
            page = await ana.http.messages(message.channel_id, limit=3, **dict(place))
            assert [(item.seq, item.content) for item in page] == [(seq, str(seq - 1)) for seq in expected]
        with pytest.raises(Refused) as refused:
            await ana.http.messages("../contexts/booking")
        assert refused.value.status == 404


async def test_the_inbox_and_new_channels(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, PARLEY_REQUIRE_CONTACT="false") as server:
        at = booking_on(server)
        people = [f"{name}-{at.id}" for name in ("ana", "ben")]
        async with Client(server.url, token=at.ana, options=SOON) as ana:
            direct, again = await ana.http.direct(people[1]), await ana.http.direct(people[1])
            group = await ana.http.group("Night shift", people[1:])
            await ana.send(direct.id, "hello")
            found = [channel async for channel in ana.http.channels()]
            groups = [channel.title async for channel in ana.http.channels(kind="group")]
    assert direct.id == again.id
    assert [channel.id for channel in found] == [direct.id, group.id]
    assert (found[0].last_seq, groups) == (1, ["Night shift"])


async def test_a_refused_token_is_replaced_once(host: Host) -> None:
    at = booking(host)
    async with Client(host.server.url, token=at.ana) as ana:
        channel = (await ana.send(at.target, "one")).channel_id
    given = [at.ana, "not a token"]

    async def fetch() -> str:
        return given.pop()

    http = Http(host.server.url, Token(fetch), AT_ONCE)
    assert len(await http.messages(channel)) == 1
    await http.close()
    only = Http(host.server.url, Token("not a token"), AT_ONCE)
    with pytest.raises(Refused) as refused:
        await only.messages(channel)
    await only.close()
    assert refused.value.status == 401


async def test_a_busy_server_is_asked_again_and_a_missing_one_not_for_ever(host: Host) -> None:
    at = booking(host)
    async with proxy(host.server.port) as line:
        http = Http(line.url, Token(at.ana), AT_ONCE)
        line.busy = True
        with pytest.raises(Refused) as refused:
            await http.messages("0198b0f4-0000-7000-8000-000000000000")
        assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
        assert len(line.answered_busy) == 5
        assert line.answered_busy[-1] - line.answered_busy[0] >= 4, "as it asks"
        await http.close()
    nowhere = Http(line.url, Token(at.ana), AT_ONCE)
    with pytest.raises(aiohttp.ClientConnectionError):
        await nowhere.messages("0198b0f4-0000-7000-8000-000000000000")
    await nowhere.close()

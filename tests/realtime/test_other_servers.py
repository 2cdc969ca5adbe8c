"""The application under other ASGI servers than its own: slower, with the same promises."""

import sys
from pathlib import Path

import pytest

from tests.support.chat import chat
from tests.support.servers import Host, running_server

UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "--app-dir", "src", "--log-level", "warning", "app:create_app")
LITESTAR = (str(Path(sys.executable).with_name("litestar")), "--app-dir", "src", "--app", "app:create_app", "run")
PROGRAMS = {
    "uvicorn, websockets": (*UVICORN, "--ws", "websockets"),
    "uvicorn, its own choice": UVICORN,
    "litestar run": LITESTAR,
}


@pytest.mark.parametrize("kind", PROGRAMS)
async def test_it_keeps_its_promises(kind: str, dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path, program=PROGRAMS[kind]) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            await acks_live_frames_and_resume(host)
            await close_codes_arrive(host)
            await somebody_who_leaves_abruptly_hurts_nobody(host)


async def acks_live_frames_and_resume(host: Host) -> None:
    ana, ben = host.user("ana"), host.user("ben")
    host.context("b1", {"ana": "worker", "ben": "supervisor"})
    async with chat(host.server.ws_url, ana) as at_ana, chat(host.server.ws_url, ben) as at_ben:
        for n in range(300):
            await at_ana.send(
                type="message.send",
                ref=f"{n}",
                client_id=f"{n}",
                content="hello",
                context={"type": "booking", "id": "b1"},
            )
        acks = [await at_ana.receive("ack") for _ in range(300)]
        live = [await at_ben.receive("message.created") for _ in range(300)]
        missed = {"channel_id": acks[0]["channel_id"], "after_seq": 100}
        await at_ben.send(type="resume", ref="r", epoch=at_ben.ready["epoch"], channels=[missed])
        again = [await at_ben.receive("message.created") for _ in range(200)]
        assert (await at_ben.receive())["type"] == "resumed"
    assert [ack["seq"] for ack in acks] == [frame["seq"] for frame in live] == list(range(1, 301))
    assert again == live[100:]


async def close_codes_arrive(host: Host) -> None:
    cem = host.user("cem")
    async with chat(host.server.ws_url, cem) as socket:
        await socket.send(type="auth", token="not a token")
        assert await socket.closed() == 4401
    async with chat(host.server.ws_url, cem) as socket:
        for _ in range(5):
            await socket.send(type="strange")
        assert await socket.closed() == 4400


async def somebody_who_leaves_abruptly_hurts_nobody(host: Host) -> None:
    ana, ben = host.user("ana2"), host.user("ben2")
    host.context("b2", {"ana2": "worker", "ben2": "supervisor"})
    async with chat(host.server.ws_url, ana) as at_ana:
        async with chat(host.server.ws_url, ben) as at_ben:
            at_ben.socket.transport.abort()
        for n in range(20):
            assert (await at_ana.message(f"{n}", context={"type": "booking", "id": "b2"}))["seq"] == n + 1
    assert "exception" not in host.server.log.read_text()

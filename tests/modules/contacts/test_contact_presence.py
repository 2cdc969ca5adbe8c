"""Whether contacts are there is told while they are contacts, to both of one's sockets, and no longer."""

from pathlib import Path

import pytest

from tests.support.acquaintance import Circle, circle
from tests.support.chat import Chat, chat
from tests.support.party import party
from tests.support.servers import Host, Server, running_server


def told(socket: Chat, circle: Circle) -> dict[str, str]:
    """Return the last status of each person told of at a socket, by first names."""
    frames = [frame for frame in socket.seen if frame["type"] == "presence"]
    return {circle.party.names[frame["user_id"]]: frame["status"] for frame in frames}


async def hears(socket: Chat, circle: Circle, name: str, status: str) -> None:
    """Wait until a socket is told this."""
    while told(socket, circle).get(name) != status:
        await socket.receive("presence")


async def watch(socket: Chat, circle: Circle, *names: str) -> None:
    """Watch these people."""
    await socket.send(type="presence.watch", user_ids=[circle.party.ids[name] for name in names])


async def after_parting(server: Server, friends: Circle, how: str) -> tuple[set[str], set[str]]:
    """Befriend ana and ben, have them part, then let ben come; returns of whom ana's sockets are told afterwards."""
    people = friends.party
    await friends.befriend("ana", "cem")
    async with (
        chat(server.personal_url, people.tokens["ana"]) as page,
        chat(server.ws_url, people.tokens["ana"]) as device,
    ):
        await hears(page, friends, "cem", "offline")
        await watch(device, friends, "ben", "cem")
        await hears(device, friends, "cem", "offline")
        assert "ben" not in told(page, friends) | told(device, friends)
        await friends.befriend("ana", "ben")
        assert people.direct("ana", "ben").status_code in {200, 201}
        await hears(page, friends, "ben", "offline")
        await watch(device, friends, "ben", "cem")
        await hears(device, friends, "ben", "offline")
        assert getattr(friends, how)("ben", "ana").status_code == 204
        await people_looked_again(page, device)
        page.seen.clear()
        device.seen.clear()
        async with chat(server.ws_url, people.tokens["ben"]), chat(server.ws_url, people.tokens["cem"]):
            for socket in (page, device):
                await hears(socket, friends, "cem", "online")
        return set(told(page, friends)), set(told(device, friends))


async def people_looked_again(*sockets: Chat) -> None:
    """Let the signal arrive: it was notified before the answer, and is heard within moments."""
    for socket in sockets:
        await socket.send(type="ping")
        await socket.receive("pong")
        with pytest.raises(TimeoutError):
            await socket.receive("pong", patience_s=0.7)


@pytest.mark.parametrize("how", ["remove", "block"])
async def test_who_was_a_contact_is_told_of_no_more(host: Host, server: Server, how: str) -> None:
    with party(host, "ana", "ben", "cem") as people:
        async with circle(people) as friends:
            assert await after_parting(server, friends, how) == ({"cem"}, {"cem"})


@pytest.mark.long
async def test_who_was_a_contact_would_be_told_of_without_looking_again(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_server(dsn, tmp_path, variant="watches_former_contacts") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, party(host, "ana", "ben", "cem") as people:
            async with circle(people) as friends:
                assert "ben" in (await after_parting(server, friends, "remove"))[1]

"""Who may do what, and that what isn't yours looks exactly like what isn't there: every role, operation and frame."""

from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.security.matrix import FRAMES, Operation, frames_about, heard, operations, seen
from tests.support.chat import chat
from tests.support.servers import Host, running_server

ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "user": ("user", frozenset()),
    "admin": ("user", frozenset({"admin"})),
    "key": ("key", frozenset({"*"})),
    "key for contexts": ("key", frozenset({"contexts"})),
    "key for webhooks": ("key", frozenset({"webhooks"})),
}
"""What each is admitted by. Nobody and the auditor are admitted to nothing but what is open."""


class House(msgspec.Struct):
    """Ana and ben talk; cat, a former participant, an admin and keys look from outside."""

    host: Host
    url: str
    tokens: dict[str, str]
    keys: dict[str, str]
    channel: str
    operations: list[Operation]

    def client(self, role: str) -> httpx.Client:
        """Return a client with the credentials of a role."""
        credential = (self.tokens | self.keys).get(role)
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        return httpx.Client(base_url=self.host.server.url, headers=headers, trust_env=False, timeout=30)


async def built(host: Host) -> House:
    """Build the house on a server."""
    ana, _, user = host.user("ana"), host.user("ben"), host.user("cat")
    former = host.user("dan")
    two = {"ana": "worker", "ben": "supervisor"}
    host.context("theirs", two | {"dan": "lender_admin"})
    async with chat(host.server.ws_url, ana) as socket:
        ack = await socket.message("between us", context={"type": "booking", "id": "theirs"})
    host.context("theirs", two)
    tokens = {"user": user, "admin": host.token("cat", role="admin"), "auditor": host.token("cat", role="auditor")}
    scopes = {"key": "*", "key for contexts": "contexts", "key for webhooks": "webhooks"}
    keys = {name: host.server.cli("keys", "create", "matrix", "--scope", scope) for name, scope in scopes.items()}
    people = tokens | {"former": former, "participant": ana}
    return House(host, host.server.ws_url, people, keys, ack["channel_id"], operations(host))


@pytest.fixture(scope="module")
async def house(host: Host) -> House:
    return await built(host)


@pytest.mark.parametrize("role", ["nobody", "auditor", *ROLES])
async def test_everybody_is_let_in_where_published_and_nowhere_else(house: House, role: str) -> None:
    kind, rights = ROLES.get(role, (role, frozenset()))
    wrong = []
    with house.client(role) as client:
        for operation in house.operations:
            status = operation.call(client).status_code
            if operation.security == [{}]:
                fits = status not in {401, 500}
            elif operation.admits(kind, rights):
                fits = status not in {401, 403, 500}
            else:
                fits = status == (401 if role == "nobody" else 403)
            if not fits:
                wrong.append((operation.name, status))
    assert wrong == []
    assert len(house.operations) > 15


OUTSIDERS = ("user", "admin", "former", "auditor", "nobody", "key for webhooks")


async def told_apart_over_http(house: House, role: str) -> list[str]:
    """Return the operations by whose answers a foreign channel or context differs from none."""
    found = []
    with house.client(role) as client:
        for operation in house.operations:
            if "{channel_id}" in operation.path:
                pair = ({"channel_id": house.channel}, {"channel_id": str(uuid4())})
            elif "{context_id}" in operation.path and operation.admits("user", frozenset()):
                pair = ({"context_id": "theirs"}, {"context_id": "never-was"})
            else:
                continue
            foreign, unknown = (seen(operation.call(client, **places)) for places in pair)
            if foreign != unknown or foreign["status"] < 400:
                found.append(operation.name)
    return found


@pytest.mark.parametrize("role", OUTSIDERS)
async def test_over_http_what_is_not_yours_looks_like_what_is_not_there(house: House, role: str) -> None:
    assert await told_apart_over_http(house, role) == []


async def told_apart_by_frames(house: House, role: str) -> list[str]:
    """Return the frames by whose answers a foreign channel or context differs from none."""
    foreign, unknown = frames_about(house.channel, "theirs"), frames_about(str(uuid4()), "never-was")
    found = []
    for name, frame in foreign.items():
        answers = await heard(house.url, house.tokens[role], frame)
        if house.channel in str(answers) or answers != await heard(house.url, house.tokens[role], unknown[name]):
            found.append(name)
    return found


@pytest.mark.parametrize("role", ["user", "admin", "former"])
async def test_over_sockets_what_is_not_yours_looks_like_what_is_not_there(house: House, role: str) -> None:
    assert await told_apart_by_frames(house, role) == []


async def test_a_participant_is_answered_where_others_are_not(house: House) -> None:
    """Otherwise the two tests above would hold on a server that refuses everything."""
    with house.client("participant") as client:
        for operation in house.operations:
            if "{channel_id}" in operation.path:
                assert operation.call(client, channel_id=house.channel).status_code < 300, operation.name
    for name, frame in frames_about(house.channel, "theirs").items():
        answers = await heard(house.url, house.tokens["participant"], frame)
        assert not [answer for answer in answers if answer["type"] == "error"], name


def test_every_frame_that_names_a_channel_is_in_the_matrix() -> None:
    naming = {
        tag for tag, kind in FRAMES.items() if {"channel_id", "context", "channels"} & set(kind.__struct_fields__)
    }
    assert naming == {name.partition(" ")[0] for name in frames_about("c", "x")}
    assert {"message.send", "read", "delivered", "resume", "view"} <= naming


async def test_the_matrix_finds_a_server_that_tells_them_apart(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_server(dsn, tmp_path, variant="tells_foreign_from_unknown") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            house = await built(host)
            assert set(await told_apart_over_http(house, "user")) == {"listMessages", "readLog"}
            assert await told_apart_by_frames(house, "user") == ["resume"]

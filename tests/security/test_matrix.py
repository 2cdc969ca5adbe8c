"""Who may do what, and that what isn't yours looks exactly like what isn't there: every role, operation and frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.security.matrix import OWNED, Operation, denied, frames, frames_about, heard, operations, seen
from tests.support.databases import Databases
from tests.support.invitations import invited
from tests.support.servers import Host, running_server

ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "user": ("user", frozenset()),
    "admin": ("user", frozenset({"admin"})),
    "key": ("key", frozenset({"*"})),
    "key for contacts": ("key", frozenset({"contacts"})),
    "key for contexts": ("key", frozenset({"contexts"})),
    "key for webhooks": ("key", frozenset({"webhooks"})),
    "key for notices": ("key", frozenset({"notices"})),
    "key for invites": ("key", frozenset({"invites"})),
}
"""What each is admitted by. Nobody and the auditor are admitted to nothing but what is open."""

Places = dict[str, str]


class House(msgspec.Struct):
    """Ana, ben and mo talk in a group and about a booking; cat, a former participant, an admin and keys look in."""

    host: Host
    tokens: dict[str, str]
    keys: dict[str, str]
    places: Places
    operations: list[Operation]
    frames: dict[str, dict[str, object]]

    @property
    def url(self) -> str:
        return self.host.server.ws_url

    def client(self, role: str) -> httpx.Client:
        """Return a client with the credentials of a role."""
        credential = (self.tokens | self.keys).get(role)
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        return httpx.Client(base_url=self.host.server.url, headers=headers, trust_env=False, timeout=30)

    def furnish(self) -> Places:
        """Make a new group of ana, an admin, with a message of hers; dan was in it; mo has invited ana there."""
        with self.client("ana") as ana, self.client("dan") as dan:
            group = ana.post("/api/channels/group", json={"title": "ours", "participant_ids": ["ben", "mo", "dan"]})
            at = f"/api/channels/{group.raise_for_status().json()['id']}"
            ana.patch(f"{at}/participants/mo", json={"role": "moderator"}).raise_for_status()
            dan.delete(f"{at}/participants/dan").raise_for_status()
            sent = ana.post(f"{at}/messages", json={"client_id": "1", "content": "between us"}).raise_for_status()
        owned = {"channel_id": sent.json()["channel_id"], "message_id": sent.json()["id"]}
        dsn = self.host.server.environment["DATABASE_URL"]
        return self.places | owned | {"invite_id": invited(dsn, "mo", "ana", channel_id=owned["channel_id"])}


def built(host: Host) -> House:
    """Build the house on a host's server."""
    server = host.server
    tokens = {name: host.user(name) for name in ("ana", "ben", "mo", "dan", "cat", "eve")}
    two = {"ana": "worker", "ben": "supervisor", "mo": "lender_admin"}
    host.context("theirs", two | {"dan": "lender_admin"})
    host.context("theirs", two)
    tokens |= {"user": tokens["cat"], "former": tokens["dan"]}
    tokens |= {role: host.token("cat", role=role) for role in ("admin", "auditor")}
    scopes = {"key": "*", "key for contexts": "contexts", "key for webhooks": "webhooks"}
    scopes |= {"key for contacts": "contacts", "key for invites": "invites", "key for notices": "notices"}
    keys = {name: server.cli("keys", "create", "matrix", "--scope", scope) for name, scope in scopes.items()}
    places = {"context_type": "booking", "context_id": "theirs", "user_id": "ben"}
    house = House(host, tokens, keys, places, operations(server), frames(server))
    house.places = house.furnish()
    return house


@pytest.fixture(scope="module")
def house(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """On a server of its own: everybody may open a channel with everybody."""
    folder = tmp_path_factory.mktemp("matrix")
    settings = {
        "PARLEY_REQUIRE_CONTACT": "false",
        "PARLEY_PUSH_DELAY_S": "86400",
    }  # and nobody pushes
    with postgres.fresh() as dsn, running_server(dsn, folder, **settings) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            yield built(host)


@pytest.mark.parametrize("role", ["nobody", "auditor", *ROLES])
def test_everybody_is_let_in_where_published_and_nowhere_else(house: House, role: str) -> None:
    kind, rights = ROLES.get(role, (role, frozenset()))
    wrong = []
    with house.client(role) as client:
        for operation in house.operations:
            answer = operation.call(client)
            if operation.security == [{}]:
                fits = answer.status_code not in {401, 500}
            elif operation.admits(kind, rights):
                fits = answer.status_code != 500 and not denied(answer)
            else:
                fits = answer.status_code == (401 if role == "nobody" else 403) and denied(answer)
            if not fits:
                wrong.append((operation.name, answer.status_code))
    assert wrong == []
    assert len(house.operations) > 35


def is_nothing(told: dict[str, Any]) -> bool:
    """Whether an answer refuses, or lists nothing: what isn't one's own may be a filter, too."""
    return bool(told["status"] >= 400) or told["body"] == {"items": [], "next": None}


OUTSIDERS = ("user", "admin", "former", "auditor", "nobody", "key for webhooks")
UNKNOWN = {"context_id": "never-was"}


def unknown(place: str) -> str:
    """Return a name of the kind that nothing has."""
    return UNKNOWN.get(place) or str(uuid4())


def told_apart_over_http(house: House, role: str) -> list[str]:
    """Return the operations by whose answers something of others differs from nothing."""
    found = []
    with house.client(role) as client:
        for operation in house.operations:
            if operation.owned and (operation.admits("user", frozenset()) or "key" not in str(operation.security)):
                foreign = seen(operation.call(client, **{name: house.places[name] for name in operation.owned}))
                missing = seen(operation.call(client, **{name: unknown(name) for name in operation.owned}))
                if foreign != missing or not is_nothing(foreign):
                    found.append(operation.name)
    return found


@pytest.mark.parametrize("role", OUTSIDERS)
def test_over_http_what_is_not_yours_looks_like_what_is_not_there(house: House, role: str) -> None:
    assert told_apart_over_http(house, role) == []


async def told_apart_by_frames(house: House, role: str) -> list[str]:
    """Return the frames by whose answers something of others differs from nothing."""
    nothing = {name: unknown(name) for name in OWNED} | {"user_id": "nobody-at-all"}
    foreign, missing = frames_about(house.frames, **house.places), frames_about(house.frames, **nothing)
    found = []
    for name, frame in foreign.items():
        answers = await heard(house.url, house.tokens[role], frame)
        if house.places["channel_id"] in str(answers) or answers != await heard(
            house.url, house.tokens[role], missing[name]
        ):
            found.append(name)
    return found


@pytest.mark.parametrize("role", ["user", "admin", "former"])
async def test_over_sockets_what_is_not_yours_looks_like_what_is_not_there(house: House, role: str) -> None:
    assert await told_apart_by_frames(house, role) == []


REFUSED = {
    "ana": {"reviseMessage": 200},
    "mo": {"reviseMessage": 403, "changeChannel": 403, "addParticipant": 403, "changeParticipant": 403}
    | {"removeParticipant": 403, "answerInvite": 403},
    "ben": {"reviseMessage": 403, "changeChannel": 403, "addParticipant": 403, "changeParticipant": 403}
    | {"removeParticipant": 403, "deleteMessage": 403, "getInvite": 404, "answerInvite": 404},
}
"""By participant: ana is the group's admin and the message is hers, mo is a moderator, ben a member.

The invitation is of mo and ana.
"""


@pytest.mark.parametrize("person", REFUSED)
def test_a_participant_is_answered_where_others_are_not(house: House, person: str) -> None:
    """Otherwise the tests above would hold on a server that refuses everything."""
    answered = {}
    with house.client(person) as client:
        for operation in house.operations:
            if operation.owned and operation.admits("user", frozenset()):
                other = "mo" if person == "ben" else "ben"
                answered[operation.name] = operation.call(client, **house.furnish() | {"user_id": other}).status_code
    expected = {name: REFUSED[person].get(name, 200) for name in answered}
    assert {name: 200 if status < 300 else status for name, status in answered.items()} == expected
    assert len(answered) > 15


async def test_a_participant_is_answered_to_every_frame(house: House) -> None:
    for name in frames_about(house.frames, **house.places):
        frame = frames_about(house.frames, **house.furnish())[name]
        answers = await heard(house.url, house.tokens["ana"], frame)
        assert not [answer for answer in answers if answer["type"] == "error"], name


def test_every_frame_that_names_something_owned_is_in_the_matrix(house: House) -> None:
    in_matrix = {name.partition(" ")[0] for name in frames_about(house.frames, **house.places)}
    assert {"message.send", "message.delete", "reaction.add", "read", "resume", "view", "typing"} <= in_matrix
    assert set(house.frames) - in_matrix == {"auth", "active", "ping"}
    assert set(frames(house.host.server, "personal")) == {"auth", "ping"}, "which name nothing that anybody owns"


async def test_the_matrix_finds_a_server_that_tells_them_apart(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    variant = "tells_foreign_from_unknown"
    settings = {"PARLEY_REQUIRE_CONTACT": "false", "PARLEY_PUSH_DELAY_S": "86400"}
    with running_server(dsn, tmp_path, variant=variant, **settings) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            house = built(host)
            assert {"listMessages", "readLog", "listRevisions"} <= set(told_apart_over_http(house, "user"))
            assert await told_apart_by_frames(house, "user") == ["resume"]

"""People of one test who open channels, and what becomes of those."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec

from tests.support.log import damage, read
from tests.support.servers import Host, Server, person_at, running_server


class Party:
    """People by their first names; their ids are other ones in each test. Everybody may ask at any server."""

    def __init__(self, host: Host, names: Sequence[str], servers: Sequence[Server] = ()) -> None:
        self.host = host
        self.servers = servers or [host.server]
        suffix = uuid4().hex[:8]
        self.ids = {name: f"{name}-{suffix}" for name in names}
        self.names = {user_id: name for name, user_id in self.ids.items()}
        self.tokens = {name: host.user(user_id) for name, user_id in self.ids.items()}
        self.clients = {
            (name, at): person_at(server, token)
            for name, token in self.tokens.items()
            for at, server in enumerate(self.servers)
        }

    @property
    def dsn(self) -> str:
        """The database."""
        return self.host.server.environment["DATABASE_URL"]

    def ask(
        self, name: str, method: str, path: str, body: Any = None, at: int = 0, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Have somebody ask for something about channels."""
        return self.clients[name, at].request(method, f"/api/channels{path}", json=body, headers=headers)

    async def together(self, *questions: Sequence[Any]) -> list[httpx.Response]:
        """Have people ask at once, each as `ask`; returns the answers in order."""
        return await asyncio.gather(*(asyncio.to_thread(self.ask, *question) for question in questions))

    def direct(self, name: str, other: str, at: int = 0) -> httpx.Response:
        """Have somebody open their direct channel with another."""
        return self.ask(name, "POST", "/direct", {"user_id": self.ids[other]}, at)

    def group(self, name: str, *others: str) -> str:
        """Have somebody make a group; returns its id."""
        body = {"title": "Dock 4", "participant_ids": [self.ids[other] for other in others]}
        return str(self.ask(name, "POST", "/group", body).raise_for_status().json()["id"])

    def add(self, name: str, channel: str, other: str, role: str = "member", at: int = 0) -> httpx.Response:
        """Have somebody add another."""
        return self.ask(name, "POST", f"/{channel}/participants", {"user_id": self.ids[other], "role": role}, at)

    def make(self, name: str, channel: str, other: str, role: str, at: int = 0) -> httpx.Response:
        """Have somebody give another a role."""
        return self.ask(name, "PATCH", f"/{channel}/participants/{self.ids[other]}", {"role": role}, at)

    def remove(self, name: str, channel: str, other: str, at: int = 0) -> httpx.Response:
        """Have somebody take another out, or leave."""
        return self.ask(name, "DELETE", f"/{channel}/participants/{self.ids[other]}", None, at)

    def roles(self, name: str, channel: str) -> dict[str, str]:
        """Return who takes part in what role, as somebody sees it."""
        seen = self.ask(name, "GET", f"/{channel}").raise_for_status().json()["participants"]
        return {self.names[one["user_id"]]: one["role"] for one in seen}

    async def steps(self, channel: str) -> list[tuple[str, ...]]:
        """Return what the log says of membership and status: (kind, whom, role, by whom), with - for what it doesn't.

        The log is whole, and the places of participants are what it makes of the channel's founding members.
        """
        log = await read(self.dsn, channel)
        assert damage(log) == []
        steps: list[tuple[str, ...]] = []
        members: dict[str, str] = msgspec.json.decode(log.genesis)["participants"]
        for record in log.records:
            details = record.details or {}
            _apply(members, record.kind, details)
            if not record.client_id:
                steps.append((record.kind, *(self._said(details, field) for field in ("user_id", "role", "by"))))
        assert await places(self.dsn, log.channel_id) == members
        return steps

    def _said(self, details: Mapping[str, str], field: str) -> str:
        said = details.get(field, "-")
        return self.names.get(said, said)

    def close(self) -> None:
        """Let go of the connections."""
        for client in self.clients.values():
            client.close()


def _apply(members: dict[str, str], kind: str, details: Mapping[str, str]) -> None:
    if kind == "participant_left":
        del members[details["user_id"]]
    elif kind == "participant_joined":
        assert details["user_id"] not in members
        members[details["user_id"]] = details["role"]
    elif kind == "participant_role_changed":
        assert members[details["user_id"]] != details["role"]
        members[details["user_id"]] = details["role"]


async def places(dsn: str, channel: str) -> dict[str, str]:
    """Return who takes part in a channel, as the database keeps it."""
    connection = await asyncpg.connect(dsn)
    try:
        query = "SELECT user_id, role FROM chat_participants WHERE channel_id::text = $1 AND left_seq IS NULL"
        return {row["user_id"]: row["role"] for row in await connection.fetch(query, channel)}
    finally:
        await connection.close()


@contextmanager
def party(host: Host, *names: str, servers: Sequence[Server] = ()) -> Iterator[Party]:
    """Gather people."""
    gathered = Party(host, names, servers)
    try:
        yield gathered
    finally:
        gathered.close()


@contextmanager
def two_servers(dsn: str, folder: Path, *names: str, variant: str | None = None, **settings: str) -> Iterator[Party]:
    """Gather people at two servers on one database, of a host that decides itself who meets whom."""
    free = {"PARLEY_REQUIRE_CONTACT": "false"} | settings
    with (
        running_server(dsn, folder / "one", variant=variant, **free) as one,
        running_server(dsn, folder / "two", variant=variant, **free) as two,
    ):
        host = Host(one, one.cli("keys", "create", "tests"))
        with host.http, party(host, *names, servers=(one, two)) as people:
            yield people


def refused(answer: httpx.Response) -> tuple[int, str, list[str]]:
    """Return by what an answer refuses: status, problem, and the fields that are wrong."""
    problem = answer.json()
    pointers = [error["pointer"] for error in problem.get("errors", [])]
    return answer.status_code, problem["type"].removeprefix("/problems/"), pointers

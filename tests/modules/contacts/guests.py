"""People of one test who invite each other over HTTP."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx

from tests.support.party import Party
from tests.support.servers import Host

Asked = tuple[str, Mapping[str, Any]]
"""Who invites, by first name or token, and the body."""


class Guests(Party):
    """People by their first names; their ids are other ones in each test."""

    def user(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return a body that invites somebody by id."""
        return {"user_id": self.ids[name], **fields}

    def post(self, name: str, body: Any, path: str = "", **headers: str) -> httpx.Response:
        """Have somebody invite; headers with _ for -."""
        named = {header.replace("_", "-"): value for header, value in headers.items()}
        return self.clients[name, 0].post(f"/api/invites{path}", json=body, headers=named)

    def invite(self, name: str, other: str, **fields: Any) -> httpx.Response:
        """Have somebody invite another."""
        return self.post(name, self.user(other, **fields))

    def bulk(self, name: str, *entries: Any, **headers: str) -> list[dict[str, Any]]:
        """Have somebody invite many; returns the results."""
        answer = self.post(name, {"invites": entries}, "/bulk", **headers)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        assert len(results) == len(entries)
        return results

    def pin(self, name: str) -> str:
        """Return somebody's connect pin."""
        return str(self.clients[name, 0].get("/api/users/me").json()["connect_pin"])

    def a_group(self, name: str) -> str:
        """Have somebody make a group of their own; returns its id."""
        made = self.ask(name, "POST", "/group", {"title": "Dock 4", "participant_ids": []})
        return str(made.raise_for_status().json()["id"])

    async def at_once(self, asked: Sequence[Asked], path: str = "") -> list[httpx.Response]:
        """Have people invite at the same time; returns the answers in order."""
        async with httpx.AsyncClient(base_url=self.host.server.url, trust_env=False, timeout=30) as client:
            return await at_once(client, [(self.tokens[name], body) for name, body in asked], path)

    async def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def bring(self, name: str, group: str, role: str) -> None:
        """Have somebody take part in a group, without a word in its log."""
        places = "chat_participants (channel_id, user_id, role, joined_seq, joined_at)"
        await self.rows(f"INSERT INTO {places} VALUES ($1, $2, $3, 0, now())", group, self.ids[name], role)

    async def block(self, name: str, other: str) -> None:
        """Have somebody block another."""
        await self.rows("INSERT INTO contact_blocks VALUES ($1, $2)", self.ids[name], self.ids[other])

    async def decline(self, invite: httpx.Response, ago: str = "0 s") -> None:
        """Let an invitation have been declined."""
        changed = "UPDATE contact_invites SET status = 'declined', responded_at = now() - $2::text::interval"
        await self.rows(f"{changed} WHERE id::text = $1", invite.json()["id"], ago)

    async def let_expire(self, invite: httpx.Response) -> None:
        """Let the time of an invitation be over, with no worker there yet."""
        changed = "UPDATE contact_invites SET created_at = now() - interval '9 d', expires_at = now() - interval '1 s'"
        await self.rows(f"{changed} WHERE id::text = $1", invite.json()["id"])

    async def statuses(self, invite_id: str) -> list[tuple[str, str | None]]:
        """Return the history of an invitation: (status, by whom), by first names."""
        rows = await self.rows("SELECT status, by FROM contact_invite_history WHERE invite_id::text = $1", invite_id)
        said = [(status, None if by is None else self.names[by]) for status, by in rows]
        return sorted(said, key=lambda one: one[0] != "pending")

    async def are_contacts(self, name: str, other: str) -> bool:
        """Return whether two are."""
        pair = sorted([self.ids[name], self.ids[other]])
        return bool(await self.rows("SELECT 1 FROM contact_pairs WHERE low_id = $1 AND high_id = $2", *pair))


async def at_once(client: httpx.AsyncClient, asked: Sequence[Asked], path: str = "") -> list[httpx.Response]:
    """Invite at the same time, each with a token; returns the answers in order."""
    return await asyncio.gather(
        *(
            client.post(f"/api/invites{path}", json=body, headers={"Authorization": f"Bearer {token}"})
            for token, body in asked
        )
    )


def told(answers: Sequence[httpx.Response]) -> Counter[str]:
    """Return how often each status and problem was answered."""
    return Counter(
        str(one.status_code) if one.is_success else one.json()["type"].removeprefix("/problems/") for one in answers
    )


@contextmanager
def guests(host: Host, *names: str) -> Iterator[Guests]:
    """Gather people."""
    gathered = Guests(host, names)
    try:
        yield gathered
    finally:
        gathered.close()

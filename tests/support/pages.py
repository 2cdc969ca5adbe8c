"""A personal socket for tests: what a page would show, and whether it is the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.chat import Chat, Frame, chat
from tests.support.scene import Scene
from tests.support.servers import Server, person_at

PATIENCE_S = 15


class Page:
    """What a page shows: what it read over HTTP once its socket was ready, changed by the badges since then."""

    def __init__(self, socket: Chat, server: Server, token: str) -> None:
        self.socket = socket
        self._server = server
        self._token = token
        self.unread: dict[str, int] = {}
        self.total = 0
        self._seen = 0

    async def load(self) -> None:
        """Read the truth."""
        self.unread, self.total = await self.truth()
        self.fold()

    async def truth(self) -> tuple[dict[str, int], int]:
        """Return what is unread in each channel that one takes part in, and altogether."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> tuple[dict[str, int], int]:
        unread: dict[str, int] = {}
        with person_at(self._server, self._token) as http:
            for archived in ("false", "true"):
                page: dict[str, Any] = {"next": ""}
                while (cursor := page["next"]) is not None:
                    query = {"archived": archived, "limit": "100"} | ({"cursor": cursor} if cursor else {})
                    page = http.get("/api/channels", params=query).raise_for_status().json()
                    unread |= {one["id"]: one["unread_count"] for one in page["items"]}
        return unread, sum(unread.values())

    @property
    def badges(self) -> list[Frame]:
        """Every badge so far."""
        return [frame for frame in self.socket.seen if frame["type"] == "badge"]

    def fold(self) -> None:
        """Take in what has come."""
        for badge in [frame for frame in self.socket.seen[self._seen :] if frame["type"] == "badge"]:
            self.unread[badge["channel_id"]] = badge["unread_count"]
            self.total = badge["total_unread"]
        self._seen = len(self.socket.seen)

    async def breathe(self) -> None:
        """Take in what the socket has told until now."""
        await self.socket.send(type="ping", ref="breath")
        while (await self.socket.receive("pong"))["ref"] != "breath":
            pass
        self.fold()

    async def shows_the_truth(self, patience_s: float = PATIENCE_S) -> bool:
        """Return whether, sooner or later, it does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        while loop.time() < deadline:
            await self.breathe()
            if (self._unread(), self.total) == await self.true_counts():
                return True
            await asyncio.sleep(0.1)
        return False

    async def true_counts(self) -> tuple[dict[str, int], int]:
        """Return the truth, without the channels in which nothing is unread."""
        unread, total = await self.truth()
        return {channel: count for channel, count in unread.items() if count}, total

    def _unread(self) -> dict[str, int]:
        return {channel: count for channel, count in self.unread.items() if count}


@asynccontextmanager
async def page_of(scene: Scene, name: str, at: int = 0) -> AsyncIterator[Page]:
    """Open somebody's page at a server, and load it."""
    server, token = scene.servers[at], scene.tokens[name]
    async with chat(server.personal_url, token) as socket:
        page = Page(socket, server, token)
        await page.load()
        yield page


async def badge(page: Page, **members: Any) -> Frame:
    """Return the next badge that has these members."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await page.socket.receive("badge", patience_s=PATIENCE_S)
            if members.items() <= frame.items():
                return frame

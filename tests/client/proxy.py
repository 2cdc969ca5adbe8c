"""What stands between a client and a server: passes bytes on, breaks lines, holds everything up, or answers itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHUNK = 65_536


class Proxy:
    """A TCP proxy on a port of its own."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._lines: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.busy = False
        self.answered_busy: list[float] = []
        self.url = ""

    def cut(self) -> None:
        """Break every connection, as a network does: without a goodbye."""
        for line in self._lines:
            line.transport.abort()

    def hold(self) -> None:
        """Pass nothing on from the server any more, and tell nobody; what goes to the server still does."""
        self._flows.clear()

    def release(self) -> None:
        """Pass on what was held up, and everything after it."""
        self._flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self._lines.add(writer)
        try:
            if self.busy:
                self.answered_busy.append(asyncio.get_running_loop().time())
                await reader.readuntil(b"\r\n\r\n")
                writer.write(BUSY)
                await writer.drain()
            else:
                await self._connect(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
        ways = [
            asyncio.create_task(self._pass_on(reader, to_server)),
            asyncio.create_task(self._pass_on(from_server, writer, self._flows)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None = None
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if gate is not None:
                    await gate.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy(upstream: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a port of this machine."""
    between = Proxy(upstream)
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
        between.release()
        between.cut()
        await asyncio.sleep(0.05)

"""A client that was away: connects, asks for what it missed, and knows when it has it all."""

import asyncio
from collections.abc import Mapping
from time import perf_counter

import msgspec

from benchmarks.load.frames import text_frame, walk
from benchmarks.load.sockets import Recorder, connect
from benchmarks.servers import Server

RESUMED = b'{"type":"resumed"'
ANSWER_WITHIN_S = 60


class Ready(msgspec.Struct):
    """What matters of the first frame."""

    epoch: str


class Returning(Recorder):
    """Keeps what arrives, and is `done` with the `resumed` at its end."""

    def __init__(self, transport: asyncio.Transport, epoch: str) -> None:
        super().__init__()
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._epoch = epoch
        self._tail = b""

    async def resume(self, known: Mapping[str, int]) -> float:
        """Ask for what came after the seqs known of these channels; returns how long all of it took to come.

        Raises:
            ConnectionResetError: the server closed the socket instead.
        """
        channels = [{"channel_id": channel, "after_seq": seq} for channel, seq in known.items()]
        frame = {"type": "resume", "ref": "r", "epoch": self._epoch, "channels": channels}
        began = perf_counter()
        self._transport.write(text_frame(msgspec.json.encode(frame)))
        return await asyncio.wait_for(self.done, ANSWER_WITHIN_S) - began

    def data_received(self, data: bytes) -> None:
        """Keep it, and look for the end. A message's own text can't be taken for it: its quotes are escaped."""
        super().data_received(data)
        if RESUMED in self._tail + data and not self.done.done():
            self.done.set_result(perf_counter())
        self._tail = data[-len(RESUMED) :]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.done.done():
            self.done.set_exception(ConnectionResetError("closed before it had everything"))

    def payloads(self) -> list[bytes]:
        """Return the frames that arrived."""
        data = b"".join(chunk for _, chunk in self.chunks)
        return [data[start:stop] for _, start, stop in walk(data)]

    def close(self) -> None:
        """Go."""
        self._transport.abort()


async def come(server: Server, token: str) -> Returning:
    """Connect.

    Raises:
        RefusedError: the server doesn't let it in.
        OSError: there is no server.
    """
    transport, ready = await connect(server.port, server.path, token)
    client = Returning(transport, msgspec.json.decode(ready, type=Ready).epoch)
    transport.set_protocol(client)
    return client

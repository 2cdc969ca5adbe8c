"""One connection, from its authentication to its end.

Concurrency: one task reads, one writes, one refreshes the token. The reader never waits for the writer: a server that
is busy sending doesn't read.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from parley_client import frames
from parley_client.backoff import Backoff
from parley_client.frames import Ack, Ready, Record, Resumed, UnknownRecord
from parley_client.outbox import Outbox
from parley_client.requests import encode
from parley_client.sequencer import Sequencer
from parley_client.stream import EphemeralStream, RecordStream
from parley_client.tokens import PASSING_FAILURES, Token

log = logging.getLogger("parley_client")

ANSWER_WITHIN_S = 15
RESUMED_AT_ONCE = 100
"""Channels in one `resume`, which must fit a frame."""

OWN_MAY_WAIT_S = 0.5
"""How long an acknowledgement may be ahead of the records before it."""

Tap = Callable[[str], None]


class Shared(msgspec.Struct, frozen=True):
    """What outlives a connection."""

    token: Token
    sequencer: Sequencer
    outbox: Outbox
    stream: RecordStream
    ephemeral: EphemeralStream
    backoff: Backoff
    tap: Tap | None


class Session:
    """Talks over one socket. `may_read` is cleared while nobody takes what would be read."""

    def __init__(self, socket: ClientConnection, shared: Shared, may_read: asyncio.Event) -> None:
        self._socket = socket
        self._shared = shared
        self._may_read = may_read
        self._asked: dict[str, int] | None = None
        self._resumes = 0
        self._resume_ref = ""
        self._in_vain = 0
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    async def authenticate(self) -> Ready:
        """Say who this is and wait to be let in.

        Raises:
            ConnectionClosed: with the code of the reason.
            TimeoutError: there was no answer.
        """
        self._token = await self._shared.token.get()
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._socket.send(encode("auth", token=self._token), text=True)
            while not isinstance(frame := await self._receive(), Ready):
                pass
        self._ready = frame
        return frame

    async def run(self) -> None:
        """Read, write and refresh until the connection ends; raises why it did."""
        helpers = [asyncio.create_task(self._helper(work)) for work in (self._write, self._refresh)]
        try:
            while True:
                await self._may_read.wait()
                self._hear(await self._receive())
        finally:
            for timer in self._timers.values():
                timer.cancel()
            for helper in helpers:
                helper.cancel()
            for outcome in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    def catch_up(self) -> None:
        """Ask for what is missing, if anything is and there is room for it; one question at a time."""
        sequencer = self._shared.sequencer
        if self._asked is not None or not sequencer.behind or not self._shared.stream.drained:
            return
        self._resumes += 1
        self._asked = sequencer.asking(RESUMED_AT_ONCE)
        channels = [{"channel_id": channel_id, "after_seq": seq} for channel_id, seq in self._asked.items()]
        self._resume_ref = f"resume-{self._resumes}"
        self._shared.outbox.urge(encode("resume", ref=self._resume_ref, epoch=sequencer.epoch, channels=channels))

    async def _receive(self) -> frames.Incoming | UnknownRecord | None:
        text = await self._socket.recv(decode=False)
        if self._shared.tap is not None:
            self._shared.tap(str(text, "utf-8"))
        return frames.decode(text)

    def _hear(self, frame: frames.Incoming | UnknownRecord | None) -> None:
        match frame:
            case Record():
                self._record(frame)
            case Ack():
                self._ack(frame)
            case frames.ErrorFrame():
                self._refused(frame)
            case Resumed():
                self._resumed(frame)
            case frames.Receipt() | frames.Typing() | frames.Presence():
                self._shared.ephemeral.put(frame)

    def _record(self, record: Record, *, own: bool = False) -> None:
        sequencer, stream = self._shared.sequencer, self._shared.stream
        if stream.has_room:
            stream.put(sequencer.take(record, own=own))
        else:
            sequencer.note(record)
        if not own:
            self.catch_up()
        elif sequencer.is_waiting:
            self._after(OWN_MAY_WAIT_S, self._stop_waiting)

    def _ack(self, ack: Ack) -> None:
        """Where it is known what an acknowledgement stands for, no other frame comes for that record."""
        record = self._shared.outbox.settle(ack, self._ready.user_id)
        if record is not None:
            self._record(record, own=True)
        elif ack.seq:
            self._shared.sequencer.note(UnknownRecord(channel_id=ack.channel_id, seq=ack.seq, kind="ack"))
            self.catch_up()

    def _refused(self, frame: frames.ErrorFrame) -> None:
        if self._shared.outbox.refuse(frame):
            return
        if self._asked is not None and frame.ref == self._resume_ref:
            self._ask_later()
        else:
            log.warning("the server refused a frame that it doesn't answer otherwise: %s", frame.problem.type)

    def _resumed(self, frame: Resumed) -> None:
        asked, self._asked = self._asked or {}, None
        reset = self._shared.sequencer.resumed(asked, frame)
        if reset is not None:
            self._shared.stream.reset(reset)
        sequencer = self._shared.sequencer
        if sequencer.progressed(asked) or not asked.keys() & sequencer.behind or not self._shared.stream.has_room:
            self._in_vain = 0
            self.catch_up()
        else:
            self._asked = asked
            self._ask_later()

    def _ask_later(self) -> None:
        """What was missing didn't come."""
        self._in_vain += 1
        self._after(self._shared.backoff.delay_s(self._in_vain), self._ask_again)

    def _ask_again(self) -> None:
        self._asked = None
        self.catch_up()

    def _stop_waiting(self) -> None:
        self._shared.sequencer.stop_waiting()
        self.catch_up()

    def _after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call later, once, however often this is asked for meanwhile."""

        def run() -> None:
            del self._timers[call]
            call()

        if call not in self._timers:
            self._timers[call] = asyncio.get_running_loop().call_later(delay_s, run)

    async def _helper(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do something beside the reading; if that can't go on, the connection can't either."""
        try:
            with suppress(ConnectionClosed):
                await work()
        except Exception:
            self._socket.transport.abort()
            self._may_read.set()
            raise

    async def _write(self) -> None:
        while True:
            await self._socket.send(await self._shared.outbox.next(), text=True)

    async def _refresh(self) -> None:
        """Replace the token before it ends. Should that fail, the server closes, and a new connection has a new one."""
        now = self._ready.server_time
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (wait_s := self._shared.token.refresh_in_s(self._token, now)) is not None:
            await asyncio.sleep(wait_s)
            with suppress(*PASSING_FAILURES):
                self._token = await self._shared.token.get()
                self._shared.outbox.urge(encode("auth", token=self._token))
            now = self._ready.server_time + timedelta(seconds=loop.time() - began)

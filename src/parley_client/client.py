"""The client: what an application calls.

Overview: `Connector` stays connected and runs a `Session` for each connection; `Outbox` holds what isn't acknowledged
yet, `Sequencer` knows which record comes next, `RecordStream` holds what the application hasn't asked for yet. These
three outlive connections.

Concurrency: for one event loop; any number of tasks may call, one may iterate over the records.

Guarantees:
- `send` returns when the message is durable. It is sent as often as that takes, under the same `client_id`, so it is
  there once.
- `records` yields every record of every channel once, in the order of its channel, across connections, restarts of the
  server and, with `positions`, of the application.
- Memory is bounded: who asks for too much at once waits, and whoever reads too slowly slows the server down, which ends
  the connection (4008); what was missed is asked for later.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from parley_client import requests
from parley_client.connector import Connector
from parley_client.errors import ClientError, Stopped
from parley_client.frames import Ack, Ready
from parley_client.http import Http
from parley_client.models import Message
from parley_client.options import Options
from parley_client.outbox import Outbox
from parley_client.requests import Target, encode
from parley_client.sequencer import Sequencer
from parley_client.session import Shared, Tap
from parley_client.stream import EphemeralStream, Records, RecordStream
from parley_client.tokens import PASSING_FAILURES, Token, TokenSource

log = logging.getLogger("parley_client")

SIGNALLED_WITHIN_S = 1


class Client:
    """A person's connection to a Parley server, for as long as the `async with` lasts.

    Entering waits for the first connection, however long it takes; every method that waits raises `Stopped` once the
    client can't go on.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource,
        positions: Mapping[str, int] | None = None,
        epoch: str | None = None,
        from_beginning: bool = False,
        options: Options | None = None,
        tap: Tap | None = None,
    ) -> None:
        """Prepare a client.

        Args:
            url: the server, as `https://chat.example.org`.
            token: a token, or an async function that returns a fresh one: before the present one ends it is called
                again. Where it can't connect, it is asked again later; its other errors end the client.
            positions: `Client.positions` of an earlier run: records go on from there.
            epoch: `Client.epoch` of that run.
            from_beginning: channels start with their first record. Otherwise only new records are yielded.
            options: limits and times.
            tap: is shown each frame that arrives, as text.
        """
        options = options or Options()
        self._token = Token(token)
        self._sequencer = Sequencer(positions, epoch, from_beginning=from_beginning)
        self._outbox = Outbox(options.window, options.backoff, self._changed)
        self._stream = RecordStream(self._sequencer, options.backlog, self._changed)
        self._ephemeral = EphemeralStream(options.backlog)
        shared = Shared(self._token, self._sequencer, self._outbox, self._stream, self._ephemeral, options.backoff, tap)
        self._connector = Connector(url, shared, heartbeat_s=options.heartbeat_s, joined=self._joined)
        self._first_ready: asyncio.Event = asyncio.Event()
        self._ready: Ready | None = None
        self._continues = positions is not None
        self._read: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._naming: asyncio.Task[None] | None = None
        self._told_anew: dict[str, bytes] = {}
        self.connections = 0
        self.http = Http(url, self._token, options.backoff)

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ClientError("a client is entered once; make another")
        self._task = asyncio.create_task(self._run())
        waiting = asyncio.create_task(self._first_ready.wait())
        try:
            await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                self._task.result()
        except BaseException:
            await self.close()
            raise
        finally:
            waiting.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and self._connector.is_connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGNALLED_WITHIN_S):
                    await self._outbox.signalled()
        await self.close()

    async def close(self) -> None:
        """End the client: whatever waits for it is told so. What was sent and not acknowledged may have arrived."""
        for task in (self._task, self._naming):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        await self.http.close()

    @property
    def ready(self) -> Ready:
        """What the server said at the start of the newest connection: the user, the limits, the channels."""
        if self._ready is None:
            raise ClientError("not connected yet: use `async with`")
        return self._ready

    @property
    def positions(self) -> dict[str, int]:
        """The last record of each channel that was yielded; for `Client(positions=…)` the next time."""
        return dict(self._sequencer.yielded)

    @property
    def epoch(self) -> str:
        """The history that `positions` belong to."""
        return self._sequencer.yielded_epoch

    def records(self) -> Records:
        """Iterate over everything that happens in the user's channels: `Record`s, and `Reset` when history is another.

        What was sent by this client is among it. Waits for more, until the client ends. One iterator at a time: with a
        new one, the one before raises RuntimeError.
        """
        return self._stream.open()

    def ephemeral(self) -> EphemeralStream:
        """Iterate over `Typing`, `Presence` and `Receipt`; the oldest are dropped when nobody asks for them."""
        return self._ephemeral

    async def send(self, to: Target, content: str, *, client_id: str | None = None, retry: bool = True) -> Message:
        """Write a message and return it when it is durable.

        Messages that are awaited one after the other keep their order. Of those sent at the same time one may overtake
        another only when the server is too busy for a moment.

        Args:
            to: a channel's id, or `(type, id)` of a context.
            content: plain text.
            client_id: names the message, so that it can be sent again, even after a restart, without being there twice.
            retry: whether to wait and try again where the server is too busy; a lost connection is always made up for.

        Raises:
            Refused: the server refuses it; nothing was written.
            Stopped: the client can't go on; whether it was written isn't known.
        """
        request = requests.message(to, content, client_id or uuid4().hex)
        return _message(await self._outbox.ask(request, retry=retry))

    async def revise(self, message_id: str, content: str, *, client_id: str | None = None) -> Message:
        """Change what was written; returns the message as it is then. Raises as `send`."""
        return _message(await self._outbox.ask(requests.revision(message_id, content, client_id or uuid4().hex)))

    async def delete(self, message_id: str) -> None:
        """Hide a message from everybody. Raises as `send`."""
        await self._outbox.ask(requests.deletion(message_id))

    async def react(self, message_id: str, emoji: str) -> None:
        """Add a reaction; no harm in adding it again. Raises as `send`."""
        await self._outbox.ask(requests.reaction(message_id, emoji))

    async def unreact(self, message_id: str, emoji: str) -> None:
        """Take a reaction back; no harm if it isn't there. Raises as `send`."""
        await self._outbox.ask(requests.reaction_taken_back(message_id, emoji))

    def mark_read(self, channel_id: str, seq: int) -> None:
        """Everything in the channel up to `seq` was read. Reaches the server soon, at the latest with a connection."""
        self._read[channel_id] = max(seq, self._read.get(channel_id, 0))
        self._signal("read", channel_id, channel_id=channel_id, seq=self._read[channel_id])

    def mark_delivered(self, channel_id: str, seq: int) -> None:
        """Everything in the channel up to `seq` has arrived."""
        self._signal("delivered", channel_id, channel_id=channel_id, seq=seq)

    def typing(self, channel_id: str, *, is_typing: bool = True) -> None:
        """The user types, or not any more. Holds for five seconds; is lost without a connection."""
        if self._connector.is_connected:
            self._signal("typing", channel_id, channel_id=channel_id, is_typing=is_typing)

    def view(self, channel_id: str | None) -> None:
        """Say which channel is on the screen; holds until the next call."""
        self._keep_telling("view", channel_id=channel_id)

    def active(self) -> None:
        """The person touched the device."""
        if self._connector.is_connected:
            self._signal("active", None)

    def watch(self, user_ids: Iterable[str]) -> None:
        """Hear about the presence of these people, up to 500; holds until the next call.

        Raises:
            Refused: their ids don't fit a frame; whoever was watched before still is.
        """
        self._keep_telling("presence.watch", user_ids=list(user_ids))

    async def _run(self) -> None:
        failure: Exception | None = None
        try:
            await self._connector.run()
        except Exception as error:
            failure = error
            raise
        finally:
            self._outbox.fail(failure or Stopped(1000, "the application ended the client"))
            self._stream.end(failure)
            self._ephemeral.end()

    def _changed(self) -> None:
        self._connector.changed()

    def _joined(self, ready: Ready) -> None:
        """Tell a new connection what holds, and what the one before may have lost."""
        self._ready = ready
        self.connections += 1
        for kind, frame in self._told_anew.items():
            self._outbox.signal((kind, None), frame)
        for head in ready.channels:
            if self._read.get(head.channel_id, 0) > head.last_read_seq:
                self.mark_read(head.channel_id, self._read[head.channel_id])
        if ready.more and self._naming is None:
            self._naming = asyncio.create_task(self._name_channels())
        self._first_ready.set()

    async def _name_channels(self) -> None:
        """Learn where those channels end that `ready` had no room for.

        One of them that speaks up again while the client is away would be taken for a new one.
        """
        if self._continues:
            return
        try:
            for archived in ("false", "true"):
                async for channel in self.http.channels(archived=archived):
                    self._sequencer.start(channel.id, channel.last_seq)
        except (ClientError, *PASSING_FAILURES) as error:
            log.warning("the inbox couldn't be read (%s): quiet channels may start at their beginning", error)

    def _signal(self, kind: str, about: str | None, **fields: Any) -> None:
        self._outbox.signal((kind, about), encode(kind, **fields))

    def _keep_telling(self, kind: str, **fields: Any) -> None:
        frame = encode(kind, **fields)
        self._outbox.check(frame)
        self._told_anew[kind] = frame
        self._outbox.signal((kind, None), frame)


def _message(ack: Ack) -> Message:
    if ack.message is None:
        raise ClientError("the server acknowledged without the message")
    return ack.message

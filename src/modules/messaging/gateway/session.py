"""One socket's session at the chat: which frame leads to what."""

import asyncio
from functools import partial
from typing import TypeAlias
from uuid import UUID

import msgspec
import structlog

import realtime.session
from kernel.auth import Authenticator, Principal
from kernel.errors import MalformedError, ParleyError, TooManyRequestsError
from modules.messaging import views
from modules.messaging.emoji import one_emoji
from modules.messaging.fold import fresh
from modules.messaging.gateway import client_frames as client
from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import channel_topic
from modules.messaging.gateway.feeds import Feeds
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.gateway.typing import Typing
from modules.messaging.gateway.watching import Watching
from modules.messaging.schemas.messages import PostMessage
from modules.messaging.service.marking import Marking
from modules.messaging.service.reading import Reading
from modules.messaging.service.writing import Writing
from modules.messaging.views import NOBODY, Hidden
from modules.messaging.writer import Action, ContextKey, Delete, Outcome, React, Revise, Stored, Written
from realtime.closing import INTERNAL
from realtime.connection import ALWAYS, Connection

log = structlog.get_logger(__name__)

ChangeFrame: TypeAlias = client.ReviseMessage | client.DeleteMessage | client.AddReaction | client.RemoveReaction

MAX_RESUMES = 4
"""Asked for by one socket and not finished yet."""


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What sessions call on."""

    writing: Writing
    reading: Reading
    marking: Marking
    feeds: Feeds
    authenticator: Authenticator
    resumption: Resumption
    typing: Typing
    watching: Watching
    frames_per_s: float


class Session(realtime.session.Session[client.Incoming]):
    """Reacts to the frames of one authenticated connection."""

    def __init__(self, services: Services, connection: Connection, principal: Principal) -> None:
        super().__init__(services, client.decode, connection, principal)
        self._services = services
        self._resumes: list[asyncio.Task[None]] = []

    def end(self) -> None:
        """Let go of what still runs."""
        super().end()
        self._services.typing.gone(self._connection)
        for task in self._resumes:
            task.cancel()

    async def _handle(self, frame: client.Incoming) -> None:
        match frame:
            case client.SendMessage():
                await self._send(frame)
            case client.ReviseMessage() | client.DeleteMessage() | client.AddReaction() | client.RemoveReaction():
                await self._change(frame, _action(frame))
            case client.Read() | client.Delivered():
                await self._mark(frame)
            case client.Resume():
                self._resume(frame)
            case client.View() | client.Active() | client.Typing():
                await self._live(frame)
            case client.WatchPresence():
                await self._services.watching.watch(self._connection, frame.user_ids)
            case _:
                await super()._handle(frame)

    async def _send(self, frame: client.SendMessage) -> None:
        self._connection.touch()
        post = PostMessage(client_id=frame.client_id, content=frame.content)
        settle = partial(self._settle, frame.ref)
        await self._services.writing.submit(
            self._connection.user_id, _target(frame), post, settle, origin=self._connection
        )

    async def _change(self, frame: ChangeFrame, action: Action) -> None:
        self._connection.touch()
        own = isinstance(action, Revise)
        hidden = NOBODY if own else await self._services.reading.hidden(frame.message_id)
        settle = partial(self._settle, frame.ref, hidden=hidden)
        await self._services.writing.submit_change(
            self._connection.user_id, frame.message_id, action, settle, origin=self._connection
        )

    def _settle(self, ref: str, outcome: Outcome, hidden: Hidden = NOBODY) -> None:
        """Answer; an ack stands where its record does, after everything before it in the channel."""
        if isinstance(outcome, ParleyError):
            self._refuse(outcome, ref)
            return
        ack = _ack(ref, outcome, self._connection.user_id, hidden)
        deliver = partial(self._connection.deliver, channel_topic(ack.channel_id), ALWAYS, server.frame(ack))
        known = outcome.record.seq if isinstance(outcome, Stored) else outcome.folded.updated_seq
        self._services.feeds.after(ack.channel_id, known, deliver)

    def _resume(self, frame: client.Resume) -> None:
        """Catch up beside the receiving of frames, one after the other: it goes at the pace of the peer."""
        self._resumes = [task for task in self._resumes if not task.done()]
        if len(self._resumes) >= MAX_RESUMES:
            raise TooManyRequestsError(f"At most {MAX_RESUMES} resumes at once", retry_after_s=1)
        before = self._resumes[-1] if self._resumes else None
        self._resumes.append(asyncio.create_task(self._resume_after(before, frame), name="resume"))

    async def _resume_after(self, before: asyncio.Task[None] | None, frame: client.Resume) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._services.resumption.resume(self._connection, frame)
        except ParleyError as error:
            self._refuse(error, frame.ref)
        except Exception:
            log.exception("resume_failed", connection_id=str(self._connection.id))
            self._connection.close(INTERNAL, "internal error")

    async def _mark(self, frame: client.Read | client.Delivered) -> None:
        read = isinstance(frame, client.Read)
        if read:
            self._connection.touch()
        await self._services.marking.mark(self._connection.user_id, frame.channel_id, frame.seq, read=read)

    async def _live(self, frame: client.View | client.Active | client.Typing) -> None:
        self._connection.touch()
        match frame:
            case client.View():
                self._view(frame)
            case client.Typing():
                await self._services.typing.heard(self._connection, frame.channel_id, is_typing=frame.is_typing)

    def _view(self, frame: client.View) -> None:
        """Only what the person hears can be on the screen."""
        heard = frame.channel_id is not None and channel_topic(frame.channel_id) in self._connection.topics
        self._connection.show(frame.channel_id if heard else None)


def _ack(ref: str, outcome: Written, user_id: str, hidden: Hidden) -> server.Ack:
    """Acknowledge a record; where nothing was appended, that of the message itself."""
    if isinstance(outcome, Stored):
        folded, seq = outcome.folded or fresh(outcome.record), outcome.record.seq
    else:
        folded, seq = outcome.folded, outcome.folded.record.seq
    message = views.own(views.message(folded, hidden), user_id, outcome.others)
    return server.Ack(ref=ref, channel_id=folded.record.channel_id, seq=seq, message=message)


def _action(frame: ChangeFrame) -> Action:
    match frame:
        case client.ReviseMessage():
            return Revise(frame.client_id, frame.content)
        case client.DeleteMessage():
            return Delete()
        case client.AddReaction():
            return React(one_emoji(frame.emoji, "/emoji"))
        case client.RemoveReaction():
            return React(one_emoji(frame.emoji, "/emoji"), removed=True)


def _target(frame: client.SendMessage) -> UUID | ContextKey:
    if frame.channel_id is not None and frame.context is None:
        return frame.channel_id
    if frame.context is not None and frame.channel_id is None:
        return ContextKey(frame.context.type, frame.context.id)
    raise MalformedError("Expected either channel_id or context")

"""Mechanisms taken out, one at a time: a test of a guarantee must notice.

In this process: `no_row_lock(monkeypatch.setattr)`. As a server: `python -m tests.support.broken no_row_lock serve …`.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

import structlog
from msgspec.structs import replace

import cli
from kernel.errors import ForbiddenError, UnavailableError
from modules.identity.module import IdentityModule
from modules.messaging import domain, views
from modules.messaging.gateway import broadcast, receipts, resumption, server_frames
from modules.messaging.gateway.feeds import Feeds
from modules.messaging.gateway.gateway import CHANNELS_IN_READY, Gateway
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.gateway.retelling import Retelling
from modules.messaging.gateway.session import Session
from modules.messaging.gateway.watching import Watching
from modules.messaging.log import append, founding
from modules.messaging.service import groups, opening
from modules.messaging.store import channels, counts, inbox, marks, members, unread
from modules.messaging.writer import queries
from realtime import socket
from realtime.admission import Admission
from realtime.connection import Connection
from realtime.draining import Draining
from realtime.entrance import Entrance, Guest
from realtime.expulsion import Expulsion
from realtime.hub import Hub
from realtime.presence import watchers
from realtime.redis_backplane import RedisBackplane
from tests.support import broken_contacts, broken_pages, broken_webhooks

Patch = Callable[[Any, str, Any], None]

BEFORE_COMMIT_S = 0.3
A_MOMENT_S = 0.03
A_WHILE_S = 2.5


def no_row_lock(patch: Patch) -> None:
    """Heads are read without holding them."""
    for module in (queries, append):
        for name, sql in list(vars(module).items()):
            if isinstance(sql, str) and "FOR NO KEY UPDATE" in sql:
                patch(module, name, re.sub("FOR NO KEY UPDATE( OF c)?", "", sql))


def no_client_id_check(patch: Patch) -> None:
    """Nobody looks whether a client_id was there before."""

    async def nothing(*_: Any) -> dict[Any, Any]:
        return {}

    patch(queries, "repeats", nothing)


def ack_before_commit(patch: Patch) -> None:
    """Messages are acknowledged and announced a moment before they are written (but for a channel's first)."""
    (name,) = (name for name in vars(append) if name.startswith("insert_"))
    insert = getattr(append, name)

    async def later(connection: Any, *what: Any) -> None:
        asyncio.get_running_loop().call_later(BEFORE_COMMIT_S, asyncio.ensure_future, write(connection, what))

    async def write(connection: Any, what: Any) -> None:
        async with connection._holder._pool.acquire() as own:
            await insert(own, *what)

    patch(append, name, later)


def no_catch_up(patch: Patch) -> None:
    """A resume is answered, and nothing sent."""

    async def nothing(_: Resumption, connection: Connection, frame: Any) -> None:
        connection.send(server_frames.frame(server_frames.Resumed(ref=frame.ref, channels=[])))

    patch(Resumption, "resume", nothing)


def no_hold_while_resuming(patch: Patch) -> None:
    """Live frames overtake the missed ones."""
    small_pages(patch)
    patch(Connection, "hold", lambda *_: None)


def any_epoch(patch: Patch) -> None:
    """Whatever history a client comes from, it is taken for this one."""
    resume = Resumption.resume

    async def trusting(self: Resumption, connection: Connection, frame: Any) -> None:
        await resume(self, connection, replace(frame, epoch=await self.epoch.get()))

    patch(Resumption, "resume", trusting)


def small_pages(patch: Patch) -> None:
    """Not broken: resuming takes longer, so that more can happen meanwhile."""
    patch(resumption, "PAGE", 20)


def own_copies(patch: Patch) -> None:
    """Every socket has a copy of its own of what it is to be sent, and what is missed is read all at once."""
    patch(socket, "COPIED_BYTES", 1 << 40)
    patch(resumption, "PAGE", 500)


def deaf_to_removal(patch: Patch) -> None:
    """Whoever is removed stays subscribed."""
    patch(Hub, "unsubscribe", lambda *_: None)


def late_join(patch: Patch) -> None:
    """A new socket reads the log first and listens afterwards."""

    async def join(self: Gateway, connection: Connection) -> None:
        async with self._database.connection() as c:
            heads = await members.heads(c, connection.user_id, CHANNELS_IN_READY)
        epoch = await self._resumption.epoch.get()
        await asyncio.sleep(A_MOMENT_S)
        self._hears(connection, heads)
        connection.send(server_frames.frame(self._ready(connection, heads, epoch)))
        connection.release_all()

    patch(Gateway, "_join", join)


def hold_nothing(patch: Patch) -> None:
    """What comes while a socket joins or catches up, and is to wait, is dropped."""
    patch(Connection, "_hold_back", lambda *_: None)


def no_feeds(patch: Patch) -> None:
    """Frames are delivered as they come, whichever instance they come from."""
    patch(Feeds, "offer", lambda _self, _channel, _seq, deliver: deliver())
    patch(Feeds, "after", lambda _self, _channel, _seq, deliver: deliver())


def deaf_to_the_log(patch: Patch) -> None:
    """Nobody looks into the log for what wasn't told."""
    patch(Feeds, "reach", lambda *_: None)


def tells_once(patch: Patch) -> None:
    """What was lost of receipts is not told again."""
    patch(Retelling, "_look", lambda *_: asyncio.sleep(0))


def listens_late(patch: Patch) -> None:
    """Not broken: it takes a while until Redis has taken a subscription."""
    subscribe, settled = RedisBackplane.subscribe, RedisBackplane.settled

    def late(self: RedisBackplane, topic: str) -> None:
        asyncio.get_running_loop().call_later(A_WHILE_S, subscribe, self, topic)

    async def settled_late(self: RedisBackplane) -> None:
        await asyncio.sleep(A_WHILE_S + A_MOMENT_S)
        await settled(self)

    patch(RedisBackplane, "subscribe", late)
    patch(RedisBackplane, "settled", settled_late)


def listens_late_and_tells_once(patch: Patch) -> None:
    """What was said until then is not told again."""
    listens_late(patch)
    tells_once(patch)


def hasty_drain(patch: Patch) -> None:
    """Sockets are sent elsewhere whatever they still wait for."""

    async def at_once(*_: Any) -> None:
        pass

    patch(Draining, "_answered", at_once)


def open_door(patch: Patch) -> None:
    """Everybody is let in, and joins at once."""

    async def at_once(_: Guest) -> None:
        pass

    patch(Entrance, "refusal", lambda _: None)
    patch(Guest, "turn", at_once)


def slow_admission(patch: Patch) -> None:
    """Not broken: between a look at who is there and letting them in, much can happen."""
    admit = Admission.admit

    async def slowly(self: Admission, credential: Any) -> Any:
        principal = await admit(self, credential)
        await asyncio.sleep(A_WHILE_S)
        return principal

    patch(Admission, "admit", slowly)


def no_second_look(patch: Patch) -> None:
    """Whoever was deactivated while being let in is in."""

    async def nothing(*_: Any) -> None:
        pass

    slow_admission(patch)
    patch(Admission, "check_active", nothing)


def altered_frames(patch: Patch) -> None:
    """What is announced isn't what is stored."""
    frame_of = server_frames.frame_of

    def altered(record: Any, message: Any) -> Any:
        return frame_of(record, message and replace(message, content=message.content.upper()))

    patch(broadcast, "frame_of", altered)


def tells_foreign_from_unknown(patch: Patch) -> None:
    """Whoever asks for a channel of others learns that there is one."""
    last_seq_for, resumable = members.last_seq_for, members.resumable

    async def refuse(connection: Any, channel_id: Any, user_id: str) -> int | None:
        seq = await last_seq_for(connection, channel_id, user_id)
        exists = await connection.fetchval("SELECT true FROM chat_channels WHERE id = $1", channel_id)
        if seq is None and exists:
            raise ForbiddenError("Not your channel")
        return seq

    async def all_of_them(connection: Any, user_id: str, channels: Any) -> dict[Any, int]:
        mine = await resumable(connection, user_id, channels)
        rows = await connection.fetch("SELECT id FROM chat_channels WHERE id = ANY($1::uuid[])", list(channels))
        return {row["id"]: 0 for row in rows} | mine

    patch(members, "last_seq_for", refuse)
    patch(members, "resumable", all_of_them)


def reactions_lost(patch: Patch) -> None:
    """Reactions are written and told, but what is read later knows nothing of them."""
    patch(views, "_reactions", lambda _: [])


def deletions_shown(patch: Patch) -> None:
    """What was deleted can still be read."""
    message = views.message
    patch(views, "message", lambda text, *hidden: message(replace(text, deleted_seq=None), *hidden))


def unread_counts_deleted(patch: Patch) -> None:
    """What is deleted still counts as unread."""
    _replace_in_counts(patch, unread._DELETED, "0")


def unread_counts_from_the_beginning(patch: Patch) -> None:
    """What was said before somebody joined counts as unread."""
    _replace_in_counts(patch, unread.SINCE, "p.last_read_seq")


def marks_move_back(patch: Patch) -> None:
    """What is asked counts, whatever was before."""
    sql = marks.MOVE.replace("AND (a.delivered > p.last_delivered_seq OR a.read > p.last_read_seq)", "")
    patch(marks, "MOVE", re.sub(r"greatest\(p\.\w+, (h\.\w+)\)", r"\1", sql))


def marks_pass_the_head(patch: Patch) -> None:
    """What is asked counts, wherever the log ends."""
    patch(marks, "MOVE", re.sub(r"least\((a\.\w+), c\.last_seq\)", r"\1", marks.MOVE))


def dear_receipts(patch: Patch) -> None:
    """Not broken: receipts are so dear that a few of them are as many."""
    patch(receipts, "DELIVERIES_PER_S", 0.5)


def _replace_in_counts(patch: Patch, part: str, other: str) -> None:
    for module in (members, inbox, counts):
        for name, sql in list(vars(module).items()):
            if isinstance(sql, str) and part in sql:
                patch(module, name, sql.replace(part, other))


def talkative_log(patch: Patch) -> None:
    """Somebody left a line in that they debugged with."""
    receive = Session.receive

    async def told(self: Session, text: str | None) -> None:
        structlog.get_logger("debugging").debug("frame", text=text)
        await receive(self, text)

    patch(Session, "receive", told)


def looks_before_it_founds(patch: Patch) -> None:
    """A direct channel is made when there was none a moment before."""
    found = founding.found

    async def look(connection: Any, wanted: Any) -> Any:
        if await connection.fetchval(channels.DIRECT, *wanted.pair):
            return None
        await asyncio.sleep(A_MOMENT_S)
        return await found(connection, wanted)

    conflict = "ON CONFLICT (direct_low, direct_high) DO NOTHING"
    assert conflict in founding.FOUND
    patch(founding, "FOUND", founding.FOUND.replace(conflict, ""))
    patch(opening, "found", look)
    broken_contacts.opens_what_was_allowed_before(patch)  # which would have them wait for each other


def no_heir(patch: Patch) -> None:
    """Whoever leaves a group just leaves."""
    patch(groups, "departure", lambda *who: domain.departure(*who)[:1])


def dies_before_commit(patch: Patch) -> None:
    """No broken variant but a fault: the process is killed right before the commit of a message."""
    insert = append.insert

    async def die(*what: Any) -> None:
        await insert(*what)
        os.kill(os.getpid(), signal.SIGKILL)

    patch(append, "insert", die)


def dies_after_commit(patch: Patch) -> None:
    """No broken variant but a fault: the process is killed between the commit of a message and its ack."""
    patch(broadcast.Broadcast, "announce", lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def away_once(patch: Patch) -> None:
    """No broken variant but a fault: the database is away when the first to catch up asks for what they missed."""
    page = Resumption._page

    async def away(*what: Any) -> list[int]:
        patch(Resumption, "_page", page)
        raise UnavailableError("The database is away; try again")

    patch(Resumption, "_page", away)


def no_grace(patch: Patch) -> None:
    """Watchers are told at once that somebody has gone, whether they come back or not."""
    patch(watchers, "GRACE_S", 0.0)


def watches_for_ever(patch: Patch) -> None:
    """Nobody looks whether a watcher may still watch."""
    for name in ("membership_changed", "anything_changed"):
        patch(Watching, name, lambda *_: None)


def deaf_to_users(patch: Patch) -> None:
    """An instance doesn't hear what others change about people and keys."""
    patch(IdentityModule, "listen", lambda *_: None)
    for name in ("user_changed", "anyone_changed"):
        patch(Expulsion, name, lambda *_: None)


def replace_known(holder: Any, name: str, value: Any) -> None:
    """`setattr`, but not of what isn't there."""
    getattr(holder, name)
    setattr(holder, name, value)


if __name__ == "__main__":
    (globals() | vars(broken_contacts) | vars(broken_pages) | vars(broken_webhooks))[sys.argv.pop(1)](replace_known)
    cli.main()

"""Messages over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar import Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from kernel.auth import Principal
from kernel.cursors import decode_cursor
from kernel.errors import FieldError, MalformedError
from kernel.http.access import USER, refuses, who
from kernel.http.parameters import MAX_SEQ, Cursor, Limit, SeqInQuery
from modules.messaging.emoji import EMOJI, one_emoji
from modules.messaging.errors import MessageDeletedError, TooManyReactionsError
from modules.messaging.routes.sent import CHANGING, WRITING, sent
from modules.messaging.schemas.messages import LogPage, Message, MessagePage, PatchMessage, PostMessage, VersionPage
from modules.messaging.service.reading import Reading
from modules.messaging.service.writing import Writing
from modules.messaging.writer import Delete, React, Revise, Written

EmojiInPath = Annotated[
    str, PathParameter(min_length=1, max_length=32, pattern=EMOJI, description="One emoji, percent-encoded")
]
Revision = Annotated[int, Meta(ge=0, le=2**31)]


@post(
    "/api/channels/{channel_id:uuid}/messages",
    opt=who(USER) | refuses(*WRITING),
    operation_id="postMessage",
    summary="Write into a channel",
    tags=["Messages"],
)
async def post_message(
    channel_id: FromPath[UUID],
    data: JSONBody[PostMessage],
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
) -> Response[Message]:
    """Answers after the commit. A repeated client_id answers 200 with the message that it made."""
    return sent(await writing.send(caller.id, channel_id, data))


@get(
    "/api/channels/{channel_id:uuid}/messages",
    opt=who(USER),
    operation_id="listMessages",
    summary="A channel's messages",
    tags=["Messages"],
)
async def list_messages(
    channel_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    reading: NamedDependency[Reading],
    before_seq: SeqInQuery = None,
    after_seq: SeqInQuery = None,
    around_seq: SeqInQuery = None,
    limit: Limit = 50,
) -> MessagePage:
    """Texts in ascending order; the newest page when nothing is asked."""
    if sum(bound is not None for bound in (before_seq, after_seq, around_seq)) > 1:
        message = "only one of before_seq, after_seq and around_seq"
        raise MalformedError(message, errors=[FieldError("?before_seq", message)])
    return await reading.history(
        caller.id, channel_id, before=before_seq, after=after_seq, around=around_seq, limit=limit
    )


@get(
    "/api/channels/{channel_id:uuid}/log",
    opt=who(USER),
    operation_id="readLog",
    summary="A channel's raw records",
    tags=["Messages"],
)
async def read_log(
    channel_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    reading: NamedDependency[Reading],
    after_seq: Annotated[int, QueryParameter(ge=0, le=MAX_SEQ)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> LogPage:
    """Every record after `after_seq`, in order, and where the log ends: for catching up."""
    return await reading.log(caller.id, channel_id, after=after_seq, limit=limit)


@get(
    "/api/messages/{message_id:uuid}/revisions",
    opt=who(USER),
    operation_id="listRevisions",
    summary="Every version of a message",
    tags=["Messages"],
)
async def list_revisions(
    message_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    reading: NamedDependency[Reading],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> VersionPage:
    """Oldest first; what a deleted message said is empty."""
    after = -1 if cursor is None else decode_cursor(cursor, Revision)
    return await reading.revisions(caller.id, message_id, after=after, limit=limit)


@patch(
    "/api/messages/{message_id:uuid}",
    opt=who(USER) | refuses(*WRITING, MessageDeletedError),
    operation_id="reviseMessage",
    summary="Give a message another content",
    tags=["Messages"],
)
async def revise_message(
    message_id: FromPath[UUID],
    data: JSONBody[PatchMessage],
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
    reading: NamedDependency[Reading],
) -> Message:
    """Its sender only. Appends a revision; what it said before stays in the log. A client_id counts once."""
    outcome = await writing.change(caller.id, message_id, Revise(data.client_id, data.content))
    return await _shown(reading, caller, outcome)


@delete(
    "/api/messages/{message_id:uuid}",
    opt=who(USER) | refuses(*CHANGING),
    operation_id="deleteMessage",
    summary="Hide a message",
    tags=["Messages"],
    status_code=200,
)
async def delete_message(
    message_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
    reading: NamedDependency[Reading],
) -> Message:
    """Its sender, and admins and moderators of a group. Hidden everywhere at once, kept for audits."""
    return await _shown(reading, caller, await writing.change(caller.id, message_id, Delete()))


@put(
    "/api/messages/{message_id:uuid}/reactions/{emoji:str}",
    opt=who(USER) | refuses(*CHANGING, MessageDeletedError, TooManyReactionsError),
    operation_id="addReaction",
    summary="React to a message",
    tags=["Messages"],
)
async def add_reaction(
    message_id: FromPath[UUID],
    emoji: EmojiInPath,
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
    reading: NamedDependency[Reading],
) -> Message:
    """One emoji, whichever; once more changes nothing."""
    outcome = await writing.change(caller.id, message_id, React(one_emoji(emoji, "{emoji}")))
    return await _shown(reading, caller, outcome)


@delete(
    "/api/messages/{message_id:uuid}/reactions/{emoji:str}",
    opt=who(USER) | refuses(*CHANGING),
    operation_id="removeReaction",
    summary="Take a reaction back",
    tags=["Messages"],
    status_code=200,
)
async def remove_reaction(
    message_id: FromPath[UUID],
    emoji: EmojiInPath,
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
    reading: NamedDependency[Reading],
) -> Message:
    """One's own; once more changes nothing."""
    outcome = await writing.change(caller.id, message_id, React(one_emoji(emoji, "{emoji}"), removed=True))
    return await _shown(reading, caller, outcome)


async def _shown(reading: Reading, caller: Principal, outcome: Written) -> Message:
    assert outcome.folded is not None  # noqa: S101 - what changed a message says what it is now
    return await reading.shown(caller.id, outcome.folded)


HANDLERS: list[HTTPRouteHandler] = [
    post_message,
    list_messages,
    read_log,
    list_revisions,
    revise_message,
    delete_message,
    add_reaction,
    remove_reaction,
]

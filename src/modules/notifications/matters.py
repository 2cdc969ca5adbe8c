"""What has become of what people may be told of, whichever module knows it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from modules.notifications.domain.snapshot import News
from modules.notifications.ports import Conversations, Invitations, InviteEnd, InviteState, Span, SpanState


class Matter(msgspec.Struct, frozen=True):
    """A span as it is now. `ended`: why an invitation need not be told of any more."""

    state: SpanState
    news: News = "messages"
    ended: InviteEnd | None = None


class InviteSpan(msgspec.Struct, frozen=True):
    """An invitation, in the terms of a conversation: it is one piece of news, unread until it has ended."""

    unread_count: int
    unread_from_seq: int | None
    unread_since: datetime | None
    sender_names: tuple[str, ...]
    is_participant: bool = True
    muted_until: datetime | None = None
    deleted_count: int = 0


class Matters:
    """Asks each module once for all that is its own."""

    def __init__(self, conversations: Conversations, invitations: Invitations) -> None:
        self._conversations = conversations
        self._invitations = invitations

    async def of(self, spans: Sequence[Span]) -> list[Matter]:
        """Return what has become of each span, in the order asked."""
        messages = [i for i, span in enumerate(spans) if span.category == "messages"]
        invites = [i for i, span in enumerate(spans) if span.category == "invites"]
        found: dict[int, Matter] = {}
        if messages:
            states = await self._conversations.states([spans[i] for i in messages])
            found |= {i: Matter(state) for i, state in zip(messages, states, strict=True)}
        if invites:
            known = await self._invitations.invite_states([spans[i] for i in invites])
            found |= {i: _matter(spans[i], state) for i, state in zip(invites, known, strict=True)}
        return [found[i] for i in range(len(spans))]


def _matter(span: Span, state: InviteState) -> Matter:
    waits = state.ended is None
    told = InviteSpan(int(waits), span.from_seq if waits else None, state.since if waits else None, (state.other_name,))
    return Matter(told, state.news, state.ended)

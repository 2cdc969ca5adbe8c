"""Gathers what a decision depends on. Holds no connection while it asks other modules: they need one themselves."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from kernel.database import Database
from modules.notifications.domain.decision import Snapshot, Standing
from modules.notifications.domain.preferences import Preferences
from modules.notifications.ports import Conversations, Presence, Recipients, Span
from modules.notifications.store import pauses, people
from realtime.attention import Attention


class Snapshots:
    """Takes snapshots of many spans with one question to each source."""

    def __init__(
        self,
        *,
        database: Database,
        conversations: Conversations,
        presence: Presence,
        recipients: Recipients,
        defaults: Preferences,
        transports: Collection[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._conversations = conversations
        self._presence = presence
        self._recipients = recipients
        self._defaults = defaults
        self._transports = transports
        self._clock = clock

    async def take(self, spans: Sequence[Span], transport: str) -> list[Snapshot]:
        """Return a snapshot of each span, in the order asked."""
        user_ids = {span.user_id for span in spans}
        states = await self._conversations.states(spans)
        attention = await self._presence.attention(user_ids)
        recipients = await self._recipients.find(user_ids)
        phones = {who.phone for who in recipients.values() if who.phone is not None}
        now = self._clock()
        async with self._database.connection() as connection:
            chosen = await people.preferences_of(connection, user_ids)
            standings = await people.standings_of(connection, phones)
            paused = await pauses.paused(connection, now)
        return [
            Snapshot(
                now=now,
                channel_id=span.channel_id,
                span=state,
                attention=attention.get(span.user_id, Attention()),
                recipient=(recipient := recipients.get(span.user_id)),
                preferences=chosen.get(span.user_id, self._defaults),
                standing=standings.get((recipient and recipient.phone) or "", Standing()),
                transport_on=transport in self._transports,
                transport_paused_until=paused.get(transport),
            )
            for span, state in zip(spans, states, strict=True)
        ]

"""A channel as a writer sees it, and the writer's memory of channels."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from time import monotonic
from uuid import UUID

import msgspec
from msgspec.structs import replace

from modules.messaging.log.record import Head
from modules.messaging.writer.send import ContextKey

MAX_CONTEXTS = 50_000
MAX_MEMBERS = 200_000
CONTESTED_S = 1.0
"""How long a head isn't relied on once another process was found to move it: a batch built on it would be in vain."""


class Channel(msgspec.Struct):
    """The end of a channel's log and all that decides who may append to it.

    Whatever changes any of this appends a record, so it is all still true as long as the head is.
    """

    head: Head
    kind: str
    context_type: str | None
    context_id: str | None
    status: str
    members: Mapping[str, str] = {}
    """User id → role."""
    contested_until: float = 0.0
    """Until then, of `time.monotonic`, others are likely to append, too."""


class Memory:
    """What this process last knew of channels. Contexts keep their channel for ever; heads may move elsewhere."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[ContextKey, UUID] = OrderedDict()
        self._channels: OrderedDict[UUID, Channel] = OrderedDict()
        self._members = 0

    def channel_of(self, target: UUID | ContextKey) -> UUID | None:
        """Return the channel that a send goes to, where known."""
        return self._contexts.get(target) if isinstance(target, ContextKey) else target

    def recall(self, ids: set[UUID]) -> dict[UUID, Channel] | None:
        """Return copies of all these channels as last known, to be moved on; None unless all can be relied on."""
        known = [self._channels.get(channel_id) for channel_id in ids]
        time = monotonic()
        copies = {id_: _copy(one) for id_, one in zip(ids, known, strict=True) if one and one.contested_until <= time}
        return copies if len(copies) == len(ids) else None

    def compare(self, channels: Mapping[UUID, Channel]) -> None:
        """Tell channels as they are now whether others appended to them since they were last known."""
        for channel_id, channel in channels.items():
            known = self._channels.get(channel_id)
            if known is not None:
                moved = known.head.last_seq != channel.head.last_seq
                channel.contested_until = monotonic() + CONTESTED_S if moved else known.contested_until

    def members(self, channel_id: UUID, membership_seq: int) -> Mapping[str, str] | None:
        """Return the members of a channel whose last membership record is `membership_seq`, where known."""
        known = self._channels.get(channel_id)
        return known.members if known is not None and known.head.membership_seq == membership_seq else None

    def learn_contexts(self, channels: Mapping[ContextKey, UUID]) -> None:
        """Remember channels of contexts; they must be committed."""
        self._contexts.update(channels)
        while len(self._contexts) > MAX_CONTEXTS:
            self._contexts.popitem(last=False)

    def learn(self, channels: Mapping[UUID, Channel]) -> None:
        """Remember channels as they are after a commit."""
        for channel_id, channel in channels.items():
            self.forget((channel_id,))
            self._channels[channel_id] = channel
            self._members += len(channel.members) + 1
        while self._members > MAX_MEMBERS:
            self.forget((next(iter(self._channels)),))

    def forget(self, ids: Collection[UUID]) -> None:
        """Know these no more."""
        for channel_id in ids:
            channel = self._channels.pop(channel_id, None)
            if channel is not None:
                self._members -= len(channel.members) + 1


def _copy(channel: Channel) -> Channel:
    return replace(channel, head=replace(channel.head))

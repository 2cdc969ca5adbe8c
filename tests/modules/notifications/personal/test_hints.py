"""Sending costs nothing while nobody has a page, and little while somebody has."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from modules.messaging.events import ChannelRead, MessageCreated, MessageDeleted, ParticipantLeft
from modules.notifications.personal import hints as module
from modules.notifications.personal.hints import GATHER_S, Concerned, Hints
from modules.notifications.personal.ports import Pair, Unread
from modules.notifications.personal.post import TOPIC
from realtime.backplane import MemoryBackplane
from realtime.company import Visitors
from realtime.connection import Connection
from realtime.hub import Hub
from tests.support.devices import Line

CHANNEL = uuid4()
A_WHILE_S = GATHER_S * 3


class Cable(MemoryBackplane):
    """Leads to nobody; what is said into it is kept."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.said.append((topic, payload[:1]))


class Several(Hub):
    """A hub that takes it that there are others."""

    @property
    def alone(self) -> bool:
        return False

    def relay(self, topic: str, kind: bytes, *parts: bytes) -> None:
        self.backplane.publish(topic, b"".join((kind, *parts)))


class Membership:
    """Ana and ben are in every channel."""

    def __init__(self) -> None:
        self.asked = 0

    async def unread(self, _pairs: Collection[Pair]) -> Sequence[Unread]:
        return ()

    async def changed(self, _user_ids: Collection[str], _since: datetime) -> Sequence[Pair]:
        return ()

    async def members(self, channels: Collection[UUID]) -> Sequence[Pair]:
        self.asked += 1
        return [(user_id, channel) for channel in channels for user_id in ("ana", "ben")]


def nothing() -> None:
    """What there is to do."""


class Place(msgspec.Struct):
    """Hints, and what they did."""

    hub: Hub
    cable: Cable
    visitors: Visitors
    hints: Hints
    membership: Membership
    changed: list[Pair]

    def open_page(self, user_id: str) -> Connection:
        page = Connection(user_id, Line(), flusher=self.hub.flusher, queue_limit=1_000)
        self.visitors.register(page)
        return page

    @property
    def hinted(self) -> int:
        return len([kind for topic, kind in self.cable.said if (topic, kind) == (TOPIC, module.HINT)])

    def happens(self) -> None:
        """Let one of everything happen."""
        self.hints.sent(message("ana", "ben", "cem"))
        self.hints.deleted(
            MessageDeleted(channel_id=CHANNEL, message_id=CHANNEL, seq=2, message_seq=1, sender_id="", deleted_by="")
        )
        self.hints.read(ChannelRead(channel_id=CHANNEL, user_id="ben", last_read_seq=1))
        self.hints.left(ParticipantLeft(channel_id=CHANNEL, seq=3, user_id="cem"))


def message(sender: str, *recipients: str) -> MessageCreated:
    return MessageCreated(
        channel_id=CHANNEL,
        message_id=uuid4(),
        seq=1,
        sender_id=sender,
        sender_name=sender,
        recipient_ids=list(recipients),
        message_preview="",
    )


@asynccontextmanager
async def placed(hub_of: type[Hub] = Hub) -> AsyncIterator[Place]:
    cable = Cable()
    hub, membership = hub_of(cable), Membership()
    visitors = Visitors(hub, TOPIC)
    changed: list[Pair] = []
    hints = Hints(
        hub=hub, visitors=visitors, counts=membership, on_changed=changed.extend, on_doubt=nothing, on_first=nothing
    )
    hints.start()
    try:
        yield Place(hub, cable, visitors, hints, membership, changed)
    finally:
        await hints.stop()


async def test_with_nobody_there_nothing_is_done() -> None:
    async with placed() as place:
        place.happens()
        assert place.hints._gathered == {}
        await asyncio.sleep(A_WHILE_S)
    assert (place.changed, place.membership.asked, place.cable.said) == ([], 0, [])


async def test_who_has_a_page_is_handed_on_and_nobody_else() -> None:
    async with placed() as place:
        place.open_page("ben")
        place.happens()
        await asyncio.sleep(A_WHILE_S)
    assert set(place.changed) == {("ben", CHANNEL)}
    assert place.membership.asked == 1


async def test_others_are_told_while_they_ask_once_for_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASKED_FOR_S", 0.3)
    async with placed(Several) as place:
        for _ in range(100):
            place.hints.sent(message("ana", "ben"))
        await asyncio.sleep(A_WHILE_S)
        assert place.hinted == 1, "who has just started takes it that others ask"
        await asyncio.sleep(0.4)
        place.happens()
        await asyncio.sleep(A_WHILE_S)
        assert place.hinted == 1
        place.hub._from_others(module.ASKING, module.ASKED)
        place.happens()
        await asyncio.sleep(A_WHILE_S)
        assert place.hinted >= 2


async def test_who_has_the_first_page_says_so_and_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    async with placed(Several) as place:
        await asyncio.sleep(0.2)
        assert place.cable.said == []
        page = place.open_page("ben")
        assert place.cable.said == [(module.ASKING, module.ASKED)]
        await asyncio.sleep(0.2)
        assert len(place.cable.said) > 2
        place.visitors.drop(page)
        heard = len(place.cable.said)
        await asyncio.sleep(0.2)
        assert len(place.cable.said) == heard


def test_two_senders_are_enough_to_know_everybody() -> None:
    concerned = Concerned()
    everybody = {"ana", "ben", "cem"}
    for sender in ("ana", "ben", "ana", "cem"):
        concerned.all_but(sender, sorted(everybody - {sender}))
    assert len(concerned.lists) == 2
    assert concerned.user_ids == everybody
    alone = Concerned()
    alone.all_but("ana", ["ben"])
    assert alone.user_ids == {"ben"}


async def test_what_others_hint_is_handed_on_too() -> None:
    async with placed(Several) as place:
        place.open_page("ben")
        place.hub._from_others(TOPIC, module.HINT + CHANNEL.bytes + module.encode(["ana", "ben"]))
        assert place.changed == [("ben", CHANNEL)]

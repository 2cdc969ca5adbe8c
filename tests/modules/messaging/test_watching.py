"""Who may no longer watch whom is found out together, however many watch."""

from collections.abc import Collection

import pytest

from modules.messaging.gateway.watching import Watching
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence
from realtime.presence.watchers import Watchers, presence_topic
from tests.support.devices import device
from tests.support.pens import make_context, pen
from tests.support.statements import statements

AWAY_AFTER_S = 300


class Friends:
    """Contacts: everybody is zoe's."""

    async def contacts_of(self, user_id: str, others: Collection[str]) -> Collection[str]:
        """Return zoe, and for her all."""
        return others if user_id == "zoe" else [other for other in others if other == "zoe"]


@pytest.mark.parametrize("count", [2, 30])
async def test_all_are_looked_at_in_one_query(dsn: str, count: int) -> None:
    people = [f"u{n}" for n in range(count)]
    async with statements(dsn) as (database, noted):
        await make_context(database, "b1", dict.fromkeys(people, "worker"))
        async with pen(database) as writer:
            await writer.stored("b1", "u0", "c1")
        hub = Hub()
        watchers = Watchers(hub, MemoryPresence(hub, AWAY_AFTER_S))
        watching = Watching(hub=hub, watchers=watchers, database=database, contacts=Friends())
        devices = [device(hub, user_id) for user_id in people]
        for one in devices:
            await watching.watch(one, [*people, "zoe"])
        async with database.connection() as connection:
            await connection.execute("UPDATE chat_participants SET left_seq = 1, left_at = now() WHERE user_id = 'u0'")
        noted.clear()
        await watching._look_at_channels(None)
    assert len(noted) == 1
    left, *others = devices
    assert {topic for topic in left.topics if topic.startswith("presence:")} == {*map(presence_topic, ("u0", "zoe"))}
    for one in others:
        watched = {topic for topic in one.topics if topic.startswith("presence:")}
        assert watched == {*map(presence_topic, [*people[1:], "zoe"])}

"""Direct channels are closed and opened with who may talk to whom: records of the log, in the same transaction."""

import asyncio
from collections.abc import Collection

import pytest

from bus import Bus
from kernel.database import Database
from modules.identity.directory import Directory
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.log.founding import Founding, found
from modules.messaging.membership import Membership
from modules.messaging.service.directs import Directs
from modules.messaging.service.reading import Reading
from realtime.hub import Hub
from tests.support.log import damage, read

Pairs = Collection[tuple[str, str]]
ROUNDS = 10


class House:
    """Direct channels of ana's with ben, cem and dia."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directs = Directs(Membership(Bus(), Broadcast(Hub(), Reading(database, Directory(database)))))
        self.channels: dict[str, str] = {}

    async def build(self) -> None:
        async with self.database.transaction() as tx:
            for other in ("ben", "cem", "dia"):
                members = {"ana": "member", other: "member"}
                self.channels[other] = str(await found(tx.connection, Founding(kind="direct", members=members)))

    async def close(self, pairs: Pairs, *, fails: bool = False) -> None:
        async with self.database.transaction() as tx:
            await self.directs.close(tx, pairs)
            if fails:
                raise ChangedTheirMindError

    async def open(self, pairs: Pairs) -> None:
        async with self.database.transaction() as tx:
            await self.directs.open(tx, pairs)

    async def log(self, dsn: str, other: str) -> list[tuple[str, object]]:
        log = await read(dsn, self.channels[other])
        assert damage(log) == []
        return [(record.kind, record.details) for record in log.records]


class ChangedTheirMindError(Exception):
    """Something after the change fails."""


@pytest.fixture
async def house(database: Database) -> House:
    house = House(database)
    await house.build()
    return house


async def test_closing_and_opening_are_records_once_each_and_by_nobody(house: House, dsn: str) -> None:
    pairs = [("ana", "ben"), ("ana", "zoe"), ("ana", "cem")]
    for _ in range(2):
        await house.close(pairs)
    assert await house.log(dsn, "ben") == await house.log(dsn, "cem") == [("channel_archived", None)]
    assert await house.log(dsn, "dia") == []
    for _ in range(2):
        await house.open([("ana", "ben")])
    assert [kind for kind, _ in await house.log(dsn, "ben")] == ["channel_archived", "channel_reopened"]
    assert [kind for kind, _ in await house.log(dsn, "cem")] == ["channel_archived"]
    await house.close([])


async def test_they_are_not_if_what_they_follow_from_is_not(house: House, dsn: str) -> None:
    with pytest.raises(ChangedTheirMindError):
        await house.close([("ana", "ben")], fails=True)
    assert await house.log(dsn, "ben") == []


async def test_many_at_once_wait_for_each_other_in_one_order(house: House, dsn: str) -> None:
    forth = [("ana", other) for other in ("ben", "cem", "dia")]
    for _ in range(ROUNDS):
        await asyncio.gather(*(change(pairs) for change in (house.close, house.open) for pairs in (forth, forth[::-1])))
    await house.close(forth)
    for other in house.channels:
        kinds = [kind for kind, _ in await house.log(dsn, other)]
        assert kinds == ["channel_archived", "channel_reopened"] * (len(kinds) // 2) + ["channel_archived"]

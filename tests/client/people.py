"""Bookings to talk in, and clients for those who do."""

import asyncio
from uuid import uuid4

import msgspec

from parley_client import Backoff, Client, MessageCreated, Options, Record
from parley_client.stream import Records
from tests.support.servers import Host, Server

SOON = Options(backoff=Backoff(base_s=0.05, cap_s=0.5))
PATIENCE_S = 40


class Booking(msgspec.Struct):
    """A booking of two."""

    server: Server
    id: str
    ana: str
    ben: str

    @property
    def target(self) -> tuple[str, str]:
        """Where to send to."""
        return "booking", self.id


def booking(host: Host) -> Booking:
    """Make two people and a booking of theirs."""
    name = uuid4().hex[:8]
    tokens = [host.user(f"{person}-{name}") for person in ("ana", "ben")]
    host.context(name, {f"ana-{name}": "worker", f"ben-{name}": "supervisor"})
    return Booking(host.server, name, *tokens)


def booking_on(server: Server) -> Booking:
    """Make a booking on a server of its own."""
    host = Host(server, server.cli("keys", "create", "tests"))
    with host.http:
        return booking(host)


async def take(records: Records, count: int) -> list[Record]:
    """Return the next records; only records may come."""
    taken: list[Record] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(taken) < count:
            record = await anext(records)
            assert isinstance(record, Record)
            taken.append(record)
    return taken


def seqs(records: list[Record]) -> list[int]:
    """Return their places."""
    return [record.seq for record in records]


def texts(records: list[Record]) -> list[str]:
    """Return what they say."""
    return [record.message.content for record in records if isinstance(record, MessageCreated)]


async def send_all(client: Client, at: Booking, count: int, start: int = 0, length: int = 0) -> None:
    """Send so many messages at once; they are numbered, and at least so long."""
    numbers = range(start, start + count)
    await asyncio.gather(*(client.send(at.target, f"{n}".ljust(length, ".")) for n in numbers))

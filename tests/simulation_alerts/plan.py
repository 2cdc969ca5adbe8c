"""What is going to happen in a week, drawn from a seed: who there is, and what they do when."""

import random
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from uuid import UUID

import msgspec

from modules.notifications.domain.preferences import Categories, Channels, Preferences, QuietHours
from modules.notifications.domain.quiet_hours import Window

HOMES: tuple[tuple[str | None, str | None, tuple[str, ...]], ...] = (
    # the profile's zone, the number, and where somebody with these is, as everybody can look up
    ("Europe/Berlin", "+4915112345678", ("Europe/Berlin",)),
    ("America/New_York", None, ("America/New_York",)),
    (None, "+351912345678", ("Atlantic/Azores", "Europe/Lisbon")),
    ("Australia/Lord_Howe", "+61412345678", ("Australia/Lord_Howe",)),
    ("Pacific/Chatham", "+64211234567", ("Pacific/Chatham",)),
    (None, None, ("America/St_Johns",)),
    ("Asia/Kathmandu", "+9779812345678", ("Asia/Kathmandu",)),
    ("Europe/London", "+447700900123", ("Europe/London",)),
    (None, "+4915112345679", ("Europe/Berlin",)),
    ("America/Santiago", "+56912345678", ("America/Santiago",)),
)
DEFAULT_ZONE = "America/St_Johns"
TRANSPORTS = ("push", "sms", "email")
QUIET = (None, ("21:00", "09:00"), ("22:30", "06:15"), ("01:30", "02:45"), ("13:00", "15:00"))


class Act(msgspec.Struct, frozen=True):
    """Something that happens. What the fields mean depends on what it is."""

    at: datetime
    what: str
    who: str = ""
    where: int = 0
    until: datetime | None = None
    preferences: Preferences | None = None
    flag: bool = False
    number: int = 0


class Someone(msgspec.Struct, frozen=True):
    """Somebody, and by what they can be reached."""

    user_id: str
    zone: str | None
    phone: str | None
    homes: tuple[str, ...]
    email: str | None
    subscribed: bool


class Plan(msgspec.Struct, frozen=True):
    """A week."""

    seed: int
    start: datetime
    end: datetime
    people: tuple[Someone, ...]
    channels: tuple[UUID, ...]
    members: tuple[tuple[str, ...], ...]
    acts: tuple[Act, ...]


def plan(seed: int, start: datetime, *, days: float = 7, messages: int = 60) -> Plan:
    """Draw a week."""
    dice = random.Random(seed)
    end = start + timedelta(days=days)
    people = tuple(_someone(dice, number) for number in range(len(HOMES)))
    channels = tuple(UUID(int=dice.getrandbits(128)) for _ in range(5))
    names = [someone.user_id for someone in people]
    members = tuple(tuple(sorted(dice.sample(names, dice.randint(2, 5)))) for _ in channels)
    draw = Drawing(dice, start, end, names, members)
    acts = [act for part in draw.parts(messages) for act in part if start <= act.at < end]
    return Plan(seed, start, end, people, channels, members, tuple(sorted(acts, key=lambda act: act.at)))


def _someone(dice: random.Random, number: int) -> Someone:
    zone, phone, homes = HOMES[number]
    email = f"p{number}@example.com" if dice.random() < 0.7 else None
    return Someone(f"p{number}", zone, phone, homes, email, dice.random() < 0.6)


class Drawing:
    """Draws acts."""

    def __init__(
        self,
        dice: random.Random,
        start: datetime,
        end: datetime,
        names: list[str],
        members: tuple[tuple[str, ...], ...],
    ) -> None:
        self.dice, self.start, self.end, self.names, self.members = dice, start, end, names, members

    def parts(self, messages: int) -> Iterator[Iterator[Act]]:
        """Return acts, kind by kind."""
        yield from (self.burst() for _ in range(messages // 2))
        for name in self.names:
            yield self.session(name, self.moment())
            for often, draw in ((1, self.pause), (2, self.choice), (1, self.mute), (0.5, self.browser)):
                yield from (draw(name) for _ in range(int(often + self.dice.random())))
        yield iter([Act(self.moment(), "crash", number=self.dice.randrange(14)) for _ in range(8)])
        yield iter([Act(self.moment(), "leave", self.dice.choice(self.names), self.place()) for _ in range(2)])
        yield iter([Act(self.start + (self.end - self.start) * 0.8, "deactivate", self.dice.choice(self.names))])

    def moment(self) -> datetime:
        return self.start + (self.end - self.start) * self.dice.random()

    def place(self) -> int:
        return self.dice.randrange(len(self.members))

    def for_a_while(self, low_s: float, high_s: float) -> timedelta:
        """Short spans are as likely as long ones."""
        return timedelta(seconds=low_s * (high_s / low_s) ** self.dice.random())

    def burst(self) -> Iterator[Act]:
        """A few messages, and people who read them soon, later or never."""
        at, where = self.moment(), self.place()
        if self.dice.random() < 0.4:
            yield from self.outage(at)
        for name in self.members[where]:
            if self.dice.random() < 0.25:
                yield from self.session(name, at + self.for_a_while(1, 300) - self.for_a_while(1, 300))
        for _ in range(self.dice.choice([1, 1, 2, 4])):
            yield Act(at, "say", self.dice.choice(self.members[where]), where)
            if self.dice.random() < 0.1:
                yield Act(at + self.for_a_while(5, 7200), "delete", where=where)
            at += self.for_a_while(1, 90)
        for name in self.members[where]:
            if self.dice.random() < 0.5:
                yield Act(at + self.for_a_while(5, 40_000), "read", name, where, number=self.dice.choice([0, 0, 1]))

    def session(self, name: str, at: datetime) -> Iterator[Act]:
        """Somebody comes, has perhaps a channel on the screen, and goes, or leaves the device alone."""
        shown = self.dice.random() < 0.5
        yield Act(at, "active", name, self.place(), flag=shown)
        at += self.for_a_while(20, 900)
        if self.dice.random() < 0.5:
            yield Act(at, "idle", name)
            at += self.for_a_while(60, 7200)
        yield Act(at, "away", name)

    def pause(self, name: str) -> Iterator[Act]:
        at = self.moment()
        yield Act(at, "pause", name, until=at + self.for_a_while(600, 100_000))
        if self.dice.random() < 0.4:
            yield Act(at + self.for_a_while(60, 50_000), "pause", name)

    def choice(self, name: str) -> Iterator[Act]:
        quiet = self.dice.choice(QUIET)
        zone = self.dice.choice([None, None, "Asia/Tokyo", "Europe/Lisbon"])
        yield Act(
            self.moment(),
            "choose",
            name,
            preferences=Preferences(
                Channels(*(self.dice.random() < 0.8 for _ in TRANSPORTS)),
                Categories(messages=self.dice.random() < 0.9),
                None if quiet is None else QuietHours(Window(*map(time.fromisoformat, quiet)), zone),
            ),
        )

    def mute(self, name: str) -> Iterator[Act]:
        at, where = self.moment(), self.place()
        yield Act(at, "mute", name, where, until=at + self.for_a_while(600, 100_000))

    def browser(self, name: str) -> Iterator[Act]:
        yield Act(self.moment(), "subscribe", name, flag=self.dice.random() < 0.6)

    def outage(self, at: datetime) -> Iterator[Act]:
        number = self.dice.randrange(len(TRANSPORTS))
        yield Act(at, "trouble", number=number, flag=True)
        yield Act(at + self.for_a_while(60, 3600), "trouble", number=number)

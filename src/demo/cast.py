"""Who takes part, and what they say. Ids are stable, so that the next run continues the same conversations."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

QUIET_START, QUIET_END = "21:00", "09:00"
MIDDLE_OF_QUIET_MIN = 3 * 60
DAY_MIN = 24 * 60
ZONES = ("Pacific/Auckland", "Asia/Tokyo", "Asia/Kolkata", "Europe/London", "America/New_York", "America/Los_Angeles")


class Person(msgspec.Struct, frozen=True):
    """Somebody in the demo. Telephone numbers are from a range that is kept free for fiction."""

    user_id: str
    name: str
    phone: str | None
    whereabouts: str

    @property
    def short(self) -> str:
        """The first name."""
        return self.name.split()[0]


ANA = Person("demo.ana", "Ana Ruiz", "+447700900101", "on her phone, the conversation on the screen")
SAM = Person("demo.sam", "Sam Okafor", "+447700900102", "on a laptop and a phone")
BEA = Person("demo.bea", "Bea Novak", "+447700900103", "in a browser, reading along")
BEN = Person("demo.ben", "Ben Carter", "+447700900104", "away")
LEA = Person("demo.lea", "Lea Martin", "+447700900105", "away, looks in over HTTP")
LEO = Person("demo.leo", "Leo Tanaka", "+447700900106", "away, and asleep")
MIA = Person("demo.mia", "Mia Santos", None, "away, and has no telephone number")
ODA = Person("demo.oda", "Oda Lind", "+447700900108", "in a browser, may only read")
PEOPLE = (ANA, SAM, BEA, BEN, LEA, LEO, MIA, ODA)
BY_ID = {person.user_id: person for person in PEOPLE}


class Line(msgspec.Struct, frozen=True):
    """Something that somebody says on one of their devices."""

    who: Person
    device: str
    text: str


class Scene(msgspec.Struct, frozen=True):
    """A context of the host, the people in it, and what they say. `devices`: the sockets that are open meanwhile.

    `looks_in` reads over HTTP when all is said; `refused` is what somebody wants to say who may not.
    """

    context_type: str
    context_id: str
    title: str
    roles: tuple[tuple[Person, str], ...]
    devices: tuple[tuple[Person, str], ...]
    lines: tuple[Line, ...]
    looks_in: Person | None = None
    refused: Line | None = None

    @property
    def path(self) -> str:
        """Where the context is over HTTP."""
        return f"/api/contexts/{self.context_type}/{self.context_id}"


BOOKING = Scene(
    "booking",
    "demo-booking",
    "Forklift driver, dock 4, early shift",
    (
        (ANA, "worker"),
        (SAM, "supervisor"),
        (BEA, "borrower_admin"),
        (BEN, "borrower_manager"),
        (LEA, "lender_admin"),
        (LEO, "lender_manager"),
    ),
    ((ANA, "phone"), (SAM, "laptop"), (SAM, "phone"), (BEA, "browser")),
    (
        Line(ANA, "phone", "Good morning. I am at dock 4 and the gate is locked."),
        Line(SAM, "laptop", "Two minutes, I am coming down."),
        Line(BEA, "browser", "The lock was changed last night. Sam has the new key."),
        Line(SAM, "phone", "Gate is open. We start fifteen minutes late."),
    ),
    looks_in=LEA,
)

DISPUTE = Scene(
    "dispute",
    "demo-dispute",
    "Waiting time at dock 4",
    ((ANA, "claimant"), (BEA, "respondent"), (LEA, "party"), (MIA, "mediator"), (ODA, "observer")),
    ((ANA, "phone"), (BEA, "browser"), (ODA, "browser")),
    (
        Line(ANA, "phone", "The quarter of an hour at the gate is missing from my hours."),
        Line(BEA, "browser", "Agreed for the gate. The break before it was not ordered by us."),
    ),
    refused=Line(ODA, "browser", "May I say something?"),
)


def asleep(now: datetime) -> str:
    """Return the time zone where it is nearest to the middle of the night: quiet hours there have hours to go."""
    return min(ZONES, key=lambda zone: _distance_min(now.astimezone(ZoneInfo(zone))))


def wakes(until: datetime) -> str:
    """Return the time zone where quiet hours end at `until`: that of the run that put an alert off until then."""
    ends = (zone for zone in ZONES if f"{until.astimezone(ZoneInfo(zone)):%H:%M}" == QUIET_END)
    return next(ends, "UTC")


def _distance_min(local: datetime) -> int:
    since = (local.hour * 60 + local.minute - MIDDLE_OF_QUIET_MIN) % DAY_MIN
    return min(since, DAY_MIN - since)

"""What is counted against spam and against guessing: by whom, in which window of time, and up to which number."""

import hashlib
import ipaddress
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from kernel.errors import TooManyRequestsError

Scope = Literal[
    "invites.sender", "invites.recipient", "invites.pair", "invites.all", "misses.account", "misses.address"
]

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MAX_TO_ONE = 10
"""Invitations a day by one person to one other, those that ended among them: one alone can neither pester somebody
nor use up what that person may receive."""


class Counter(msgspec.Struct, frozen=True, order=True):
    """Something that is counted, in the window that begins at `since`. `subject`: a hash, so that nobody is named."""

    scope: Scope
    subject: bytes
    since: datetime


def counter(scope: Scope, subject: str, since: datetime) -> Counter:
    """Return what counts for somebody or some address."""
    return Counter(scope, hashlib.sha256(f"{scope}\0{subject}".encode()).digest(), since)


def start_of_day(now: datetime) -> datetime:
    """Return the last midnight, UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def start_of_hour(now: datetime) -> datetime:
    """Return the last full hour."""
    return now.replace(minute=0, second=0, microsecond=0)


def network(host: str) -> str:
    """Return what an address counts as: IPv4 as itself, IPv6 by its /64, which is what one household or server has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Caps(msgspec.Struct, frozen=True):
    """How many invitations a UTC day may have: by one person, to one person, of all. 0: any number.

    Where those to one person are limited, so are those by one to one other: `MAX_TO_ONE`.
    """

    per_sender: int
    per_recipient: int
    altogether: int


class Quotas:
    """The quotas of one day, for one sender: what was used before, and what is added to it here."""

    def __init__(self, caps: Caps, sender_id: str, now: datetime) -> None:
        self._caps = caps
        self._since = start_of_day(now)
        self._retry_after_s = (self._since + DAY - now).total_seconds()
        self._sender_id = sender_id
        self._sender = counter("invites.sender", sender_id, self._since)
        self._all = counter("invites.all", "", self._since)
        self._used: Mapping[Counter, int] = {}
        self.added: Tally[Counter] = Tally()
        """What is to be added to the counts."""

    def counters(self, recipients: Sequence[str]) -> list[Counter]:
        """Return what limits invitations to these people."""
        return sorted({one for recipient in recipients for one in self._limiting(recipient)})

    def begin(self, used: Mapping[Counter, int]) -> None:
        """Take in what was used before."""
        self._used = used

    def refusal(self, recipient: str) -> TooManyRequestsError | None:
        """Return why one more invitation can't be; the first quota that is used up says so."""
        for one, (cap, detail) in self._limiting(recipient).items():
            if self._used.get(one, 0) + self.added[one] >= cap:
                return TooManyRequestsError(detail, retry_after_s=self._retry_after_s)
        return None

    def add(self, recipient: str) -> None:
        """Count an invitation."""
        self.added.update(self._limiting(recipient).keys())

    def _limiting(self, recipient: str) -> dict[Counter, tuple[int, str]]:
        caps = self._caps
        receiver = counter("invites.recipient", recipient, self._since)
        between = counter("invites.pair", f"{self._sender_id}\0{recipient}", self._since)
        to_one = MAX_TO_ONE if caps.per_recipient else 0
        found = {
            self._sender: (caps.per_sender, f"At most {caps.per_sender} invitations a day (UTC) by one person"),
            between: (to_one, f"At most {to_one} invitations a day (UTC) by one person to one other"),
            receiver: (
                caps.per_recipient,
                f"This person has received too many invitations today: at most {caps.per_recipient} a day (UTC)",
            ),
            self._all: (caps.altogether, f"At most {caps.altogether} invitations a day (UTC) on this server"),
        }
        return {one: limit for one, limit in found.items() if limit[0]}

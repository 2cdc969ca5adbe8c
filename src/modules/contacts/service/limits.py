"""How often somebody may ask for people that there aren't, so that pins and ids can't be walked.

Guarantee: within an hour, of one account (and of one address) no more misses are answered than the limit, however many
requests run at once, and after them no hit is, either. A look-up is charged before anything of its outcome is told, by
adding to one count, which puts all that run at once into an order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from kernel.database import Database
from kernel.errors import TooManyRequestsError
from modules.contacts.domain.quotas import HOUR, Counter, counter, network, start_of_hour
from modules.contacts.store import usage

TOO_MANY = "At most {limit} pins or ids an hour that lead to nobody, from one {whose}"


class Searcher(msgspec.Struct, frozen=True):
    """Who looks somebody up, and from which address."""

    user_id: str
    host: str


class Charge(msgspec.Struct, frozen=True):
    """What a look-up cost: `answered` of its entries may be answered; those after them are refused by `refusal`."""

    answered: int
    refusal: TooManyRequestsError
    counts: Mapping[Counter, int]


class Misses:
    """Counts look-ups that find nobody."""

    def __init__(self, database: Database, *, per_account: int, per_address: int) -> None:
        self._database = database
        self._per_account = per_account
        self._per_address = per_address

    async def check(self, searcher: Searcher, now: datetime) -> None:
        """Refuse before the look-up whoever has used up a limit.

        Raises:
            TooManyRequestsError: naming it.
        """
        limits = self._limits(searcher, now)
        async with self._database.connection() as connection:
            counts = await usage.read(connection, limits)
        for one, limit in limits.items():
            if counts.get(one, 0) >= limit:
                raise _refusal(one, limit, now)

    async def charge(self, searcher: Searcher, missed: Sequence[bool], now: datetime) -> Charge:
        """Charge a look-up of several, of which some found nobody. Hits cost nothing, but wait in the same order."""
        limits = self._limits(searcher, now)
        cost = min(sum(missed), *limits.values())
        counts = dict.fromkeys(limits, cost)
        async with self._database.connection() as connection:
            after = await usage.add(connection, counts)
        left = {one: max(0, limit - after[one] + cost) for one, limit in limits.items()}
        tightest = min(left, key=lambda one: left[one])
        return Charge(
            _answered(missed, left[tightest]), _refusal(tightest, limits[tightest], now), counts if cost else {}
        )

    async def give_back(self, charge: Charge) -> None:
        """Take a charge back: the request had been answered before."""
        if charge.counts:
            async with self._database.connection() as connection:
                await usage.add(connection, {one: -count for one, count in charge.counts.items()})

    def _limits(self, searcher: Searcher, now: datetime) -> dict[Counter, int]:
        since = start_of_hour(now)
        return {
            counter("misses.account", searcher.user_id, since): self._per_account,
            counter("misses.address", network(searcher.host), since): self._per_address,
        }


def _answered(missed: Sequence[bool], allowed: int) -> int:
    """Return how many entries come before the limit, as if each had been asked for alone, one after the other."""
    for index, is_miss in enumerate(missed):
        if allowed <= 0:
            return index
        allowed -= is_miss
    return len(missed)


def _refusal(one: Counter, limit: int, now: datetime) -> TooManyRequestsError:
    whose = one.scope.removeprefix("misses.")
    again = start_of_hour(now) + HOUR - now
    return TooManyRequestsError(TOO_MANY.format(limit=limit, whose=whose), retry_after_s=again.total_seconds())

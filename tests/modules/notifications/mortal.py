"""A process whose children run the notifications module until they kill themselves at a step drawn from a seed.

Usage: mortal.py DSN PROVIDER_URL VARIANT. For every seed on a line of its input it forks a child, waits for its end,
and prints `died` or `lived`. Forking spares each life the second that importing takes.
"""

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from kernel import worker
from kernel.clock import now
from kernel.database import Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.notifications import alert_worker, delivery_worker
from modules.notifications.domain import circuit
from tests.modules.notifications.crashing import LADDER, VARIANTS, house_of, named
from tests.support.crashing import CrashingDatabase, CrashingTransport, DeadlyFuse, Fuse

LIFE_S = 3.0
"""Whoever doesn't come to their step by then stops as at the end of a day."""
LAST_STEP = 60
TIMEOUT_S = 0.2
PER_S = 200.0


def settings_of() -> Settings:
    """No delays, no quiet hours, a pace and caps that are counted and don't hold anything up."""
    return Settings(
        default_quiet_hours="00:00-00:00",
        push_delay_s=0,
        sms_delay_s=0,
        email_delay_s=0,
        sms_per_s=PER_S,
        sms_max_per_recipient_per_day=1_000_000,
        sms_max_per_day=1_000_000,
    )


@contextmanager
def quickly() -> Iterator[None]:
    """Leases and holds that pass while one waits."""
    with (
        patch.object(delivery_worker, "LEASE", timedelta(seconds=1)),
        patch.object(alert_worker, "HIDDEN", timedelta(seconds=1)),
        patch.object(worker, "POLL_S", 0.2),
        patch.object(alert_worker, "POLL_S", 0.2),
        patch.object(delivery_worker, "POLL_S", 0.2),
        patch.object(circuit, "FIRST", timedelta(seconds=0.2)),
        patch.object(circuit, "LONGEST", timedelta(seconds=1)),
    ):
        yield


async def life(dsn: str, url: str, variant: str, fuse: Fuse) -> None:
    """Run a module for a while."""
    database = await Database.connect(dsn, size=3)
    transports = {name: CrashingTransport(named(name, url, timeout_s=TIMEOUT_S), fuse) for name in LADDER}
    house = house_of(CrashingDatabase(database, fuse), settings_of(), now, transports, VARIANTS[variant])
    await house.module.start()
    await asyncio.sleep(LIFE_S)
    await house.module.stop()
    await database.close()


def lives(dsn: str, url: str, variant: str, seed: int) -> bool:
    """Fork a child; whether it came to the end of its day."""
    child = os.fork()
    if child == 0:
        with quickly():
            asyncio.run(life(dsn, url, variant, DeadlyFuse(random.Random(seed).randrange(LAST_STEP))))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def main(dsn: str, url: str, variant: str) -> None:
    """Serve seeds until there are no more."""
    logging.configure("error", to=sys.stderr)
    for line in sys.stdin:
        print("lived" if lives(dsn, url, variant, int(line)) else "died", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

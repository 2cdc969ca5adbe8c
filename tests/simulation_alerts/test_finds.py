"""The week finds what is broken: mechanisms taken out, one at a time, and a seed that reaches each of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kernel.settings import Settings
from modules.notifications import delivery_worker
from modules.notifications.domain import decision, gates
from modules.notifications.domain.decision import Send, Suppress
from modules.notifications.domain.zones import Whereabouts
from modules.notifications.store import alerts
from tests.simulation_alerts.plan import plan
from tests.simulation_alerts.test_week import AUTUMN, happened
from tests.support.databases import Databases, execute

SEED, DAYS, MESSAGES = 8, 4, 48
Patch = Callable[[Any, str, Any], None]

WITHOUT_NET = """
ALTER TABLE notification_deliveries
    DROP CONSTRAINT fk_notification_deliveries_chain, DROP CONSTRAINT uq_notification_deliveries_begin,
    DROP CONSTRAINT uq_notification_deliveries_end
"""


def quiet_hours_in_utc(patch: Patch) -> None:
    """Everybody's clock hangs in Greenwich."""
    patch(gates, "whereabouts_of", lambda *_: Whereabouts(("UTC",), "profile"))


def read_not_asked_again(patch: Patch) -> None:
    """What was decided when the alert fell due counts, whatever happened since."""
    patch(delivery_worker, "decide", lambda _: Send(60))


def ranges_overlapping(patch: Patch) -> None:
    """An alert begins with the last message of the one before. (The database would refuse it; here it may not.)"""
    assert "alerted_to = done.to_seq" in alerts.CLOSE
    patch(alerts, "CLOSE", alerts.CLOSE.replace("alerted_to = done.to_seq", "alerted_to = done.to_seq - 1"))


def no_ladder(patch: Patch) -> None:
    """Every transport goes when its own delay is over."""
    patch(gates, "_turn_after", lambda *_: None)


def dropped_instead_of_put_off(patch: Patch) -> None:
    """Whoever is at a device will have seen it."""
    patch(decision, "GATES", [_dropping if gate is gates.looking else gate for gate in gates.GATES])


def _dropping(s: decision.Snapshot) -> decision.Decision | None:
    return Suppress("read") if gates.looking(s) else None


def blind(patch: Patch) -> None:
    """Nobody looks whether they are at a device."""
    patch(decision, "GATES", [gate for gate in gates.GATES if gate is not gates.looking])


def choices_count_later(patch: Patch) -> None:
    """A pause that ends early goes on for what it had put off."""

    async def nothing(*_: Any) -> None:
        pass

    patch(alerts, "bring_forward", nothing)


def never_again(patch: Patch) -> None:
    """What was put off isn't found again."""
    patch(
        alerts,
        "PUT_OFF",
        alerts.PUT_OFF.replace("due_at = later.due_at", "due_at = later.due_at + interval '1000 years'"),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("breaks", "finds"),
    [
        (quiet_hours_in_utc, "it is quiet there"),
        (read_not_asked_again, "nothing of it is unread"),
        (ranges_overlapping, "times"),
        (blind, "they are at a device"),
        pytest.param(no_ladder, "was to go first", marks=pytest.mark.long),
        pytest.param(dropped_instead_of_put_off, "not so at", marks=pytest.mark.long),
        pytest.param(choices_count_later, "was due by", marks=pytest.mark.long),
        pytest.param(never_again, "was due by", marks=pytest.mark.long),
    ],
)
def test_a_broken_week_is_found(
    postgres: Databases,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    breaks: Callable[[Patch], None],
    finds: str,
) -> None:
    breaks(monkeypatch.setattr)
    with postgres.fresh() as dsn:
        asyncio.run(execute(dsn, WITHOUT_NET))
        drawn = plan(SEED, AUTUMN, days=DAYS, messages=MESSAGES)
        _, faults = asyncio.run(happened(dsn, settings, drawn))
    assert any(finds in fault for fault in faults), faults

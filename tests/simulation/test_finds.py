"""The long random test is seen to find something: the same runs, each with one mechanism taken out."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.simulation.plan import GROUPS, Plan, Step, plan
from tests.simulation.simulation import simulate
from tests.simulation.world import a_small_world, a_world

pytestmark = pytest.mark.long

SEED = 8
LENGTH = 120
PATIENCE_S = 4

FOUND = {
    "altered_frames": "untrue",
    "no_catch_up": "missing",
    "deaf_to_removal": "overheard",
    "reactions_lost": "messages of",
    "deletions_shown": "messages of",
    "marks_move_back": "marks",
    "unread_counts_deleted": "unread_count",
}


def assert_found(faults: Sequence[str], what: str) -> None:
    """Check that something of this kind was found."""
    assert any(what in fault for fault in faults), "\n".join(faults) or "nothing"


@pytest.mark.parametrize("variant", FOUND)
async def test_what_is_broken_is_found(dsn: str, tmp_path: Path, variant: str) -> None:
    with a_small_world(dsn, tmp_path, variant=variant) as world:
        world.patience_s = PATIENCE_S
        faults = await simulate(world, plan(SEED, LENGTH, troubles=()))
    assert_found(faults, FOUND[variant])


async def test_a_lost_message_is_found(dsn: str, tmp_path: Path) -> None:
    """The broken variant acknowledges what it hasn't written yet, and is killed."""
    drawn = plan(SEED, LENGTH, troubles=[["killed"]])
    with a_small_world(dsn, tmp_path, variant="ack_before_commit") as world:
        world.patience_s = PATIENCE_S
        faults = await simulate(world, drawn)
    assert_found(faults, "lost")


async def test_an_instance_that_looks_for_nothing_is_found(dsn: str, tmp_path: Path) -> None:
    """The broken variant doesn't read the log when Redis is silent."""
    steps = [Step("trouble", value="redis_killed", for_ms=2500)]
    for number in range(1, 9):
        value = f"cargo number {number}"
        steps.append(
            Step("send", number, who="ana", device=number, channel=GROUPS[0], value=value, wait_ms=100),
        )
    with a_world(dsn, tmp_path, variant="deaf_to_the_log") as world:
        world.patience_s = PATIENCE_S
        faults = await simulate(world, Plan(SEED, LENGTH, [*steps, Step("quiet")]))
    assert_found(faults, "missing")

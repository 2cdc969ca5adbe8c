"""However much there is to compute, everything else gets its turns."""

import asyncio
from time import perf_counter

import pytest

from modules.messaging.search.turns import TURN_S, in_turns

pytestmark = pytest.mark.anyio

ITEMS = 20


async def test_others_get_a_turn_between_dear_items() -> None:
    assert await turns_of_others(TURN_S) >= ITEMS - 1


async def test_cheap_items_share_a_turn() -> None:
    """What the check would see if turns were never given."""
    assert await turns_of_others(0) < ITEMS - 1


async def test_results_keep_their_order_and_what_they_cost() -> None:
    results, computed_s = await in_turns(lambda _: busy(TURN_S), range(ITEMS))
    assert results == sorted(results)
    assert computed_s >= ITEMS * TURN_S


async def turns_of_others(cost_s: float) -> int:
    """How many turns somebody else gets while items of that cost are worked on."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await in_turns(lambda _: busy(cost_s), range(ITEMS))
    task.cancel()
    return turns


def busy(seconds: float) -> float:
    """Compute for so long; returns when that was over."""
    until = perf_counter() + seconds
    while (now := perf_counter()) < until:
        pass
    return now

"""Computing beside everything else that a process does."""

import asyncio
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TURN_S = 0.005
"""Texts differ in what they cost by a thousand times, so turns are counted in time."""


async def in_turns(work: Callable[[T], R], items: Iterable[T]) -> tuple[list[R], float]:
    """Work on each of these; whenever `TURN_S` are over, other things get their turn.

    Returns:
        What each gave, and how many seconds that took, without the turns of others.
    """
    results: list[R] = []
    computed_s, began = 0.0, perf_counter()
    for item in items:
        results.append(work(item))
        spent_s = perf_counter() - began
        if spent_s >= TURN_S:
            computed_s += spent_s
            await asyncio.sleep(0)
            began = perf_counter()
    return results, computed_s + perf_counter() - began

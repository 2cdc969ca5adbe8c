"""Runs a plan: everybody does their steps at the same time, and at quiet moments everything is compared."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from tests.simulation.acts import Acts
from tests.simulation.compare import differences
from tests.simulation.people import Crowd
from tests.simulation.plan import DIRECT, GROUPS, PEOPLE, REDIS_TROUBLES, ROLES, Plan, Step
from tests.simulation.world import World

STEP_WITHIN_S = 60
SHOWN = 12


class Simulation:
    """One run. Steps of one device, unless they are hasty, and troubles of one kind come one after the other; all
    else happens at once.
    """

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._acts = Acts(crowd)
        self._turns: dict[object, asyncio.Task[None]] = {}
        self._begun: dict[int, asyncio.Task[None]] = {}

    async def begin(self) -> None:
        """Make what there is at the beginning."""
        await self._crowd.gather()
        for name in GROUPS:
            await self._acts.found(name, PEOPLE[0], PEOPLE[1:4])
        for name in DIRECT:
            one, other = name.split()
            await self._acts.found(name, one, (other,))
        for kind, roles in ROLES.items():
            people = {who: roles[index % len(roles)] for index, who in enumerate(PEOPLE)}
            await self._acts.put_context(kind, people)

    async def run(self, plan: Plan) -> list[str]:
        """Do all steps; returns the first differences that there are at a quiet moment."""
        for step in plan.steps:
            await asyncio.sleep(step.wait_ms / 1000)
            if step.what != "quiet":
                self._queue(step)
                continue
            await self.rest()
            if faults := await differences(self._crowd):
                return [f"after step {step.number}: {fault}" for fault in faults]
        return []

    async def rest(self) -> None:
        """Wait until all that was begun is over."""
        await asyncio.gather(*self._begun.values())

    def _queue(self, step: Step) -> None:
        turn: object = self._crowd.device(step)
        if step.what == "trouble":
            turn = step.value in REDIS_TROUBLES
        before = [None if step.hasty else self._turns.get(turn), self._begun.get(step.message)]
        self._begun[step.number] = asyncio.create_task(self._after([task for task in before if task], step))
        if not step.hasty:
            self._turns[turn] = self._begun[step.number]

    async def _after(self, before: list[asyncio.Task[None]], step: Step) -> None:
        """Do a step after the one before it, and after that whose message it is about. One without end is found out."""
        for task in before:
            await task
        if step.what == "trouble":
            await self._crowd.world.suffer(step)
        elif step.what == "restart":
            await self._restart(step)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(STEP_WITHIN_S):
                    await self._acts.do(step)

    async def _restart(self, step: Step) -> None:
        device = self._crowd.device(step)
        await device.leave()
        await asyncio.sleep(step.for_ms / 1000)
        await device.arrive()


@asynccontextmanager
async def _crowd(world: World) -> AsyncIterator[Crowd]:
    crowd = Crowd(world)
    try:
        yield crowd
    finally:
        await crowd.close()


async def simulate(world: World, plan: Plan) -> list[str]:
    """Run a plan in a world; returns what is not as it should be."""
    async with _crowd(world) as crowd:
        simulation = Simulation(crowd)
        await simulation.begin()
        try:
            return await simulation.run(plan)
        finally:
            await simulation.rest()


def report(plan: Plan, faults: list[str], directory: Path) -> str:
    """Write the plan down, and say what was found and how to see it again."""
    path = directory / f"plan-{plan.seed}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))
    more = f"\n… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    again = f"PARLEY_TEST_SIMULATION_SEED={plan.seed} PARLEY_TEST_SIMULATION_STEPS={plan.length}"
    return "\n".join([f"seed {plan.seed}, its steps are in {path}; again with {again}", *faults[:SHOWN]]) + more

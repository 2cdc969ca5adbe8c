"""Shortens a plan that found something: `python -m tests.simulation plan.json`, which must still find something."""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tests.simulation.plan import Plan, Step
from tests.simulation.simulation import simulate
from tests.simulation.world import World, a_mortal_world

ATTEMPTS = 3
"""What only happens at times is tried again before it counts as not found."""


def main(path: Path) -> None:
    """Leave out ever smaller parts, as long as something is still found; write down what remains."""
    plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    with tempfile.TemporaryDirectory() as directory, a_mortal_world(Path(directory)) as world:
        faults = found(world, plan)
        part = len(plan.steps) // 2 if faults else 0
        while part:
            plan = without(world, plan, part)
            part //= 2
    path.with_suffix(".short.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))
    sys.stdout.write("\n".join([f"{len(plan.steps)} steps", *(faults or ["nothing was found"])]) + "\n")


def without(world: World, plan: Plan, part: int) -> Plan:
    """Return the plan without those parts of that size that it finds something without, too."""
    start = 0
    while start < len(plan.steps):
        steps = [*plan.steps[:start], *plan.steps[start + part :]]
        shorter = replace(plan, steps=steps if steps[-1:] == plan.steps[-1:] else [*steps, Step("quiet")])
        if len(shorter.steps) < len(plan.steps) and found(world, shorter):
            plan = shorter
        else:
            start += part
    return plan


def found(world: World, plan: Plan) -> list[str]:
    """Run the plan, some times if need be."""
    return next(filter(None, (asyncio.run(simulate(world, plan)) for _ in range(ATTEMPTS))), [])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

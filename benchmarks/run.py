"""`parley bench`: every figure that Parley defends, in one run, as a table.

    parley bench [--quick] [--only writer|e2e|fanout|sockets] [--rounds N] [--output FOLDER]

What is compared is measured in turn (A, B, A, B, …), and its ratio is the median of the rounds' ratios: the
machine may have a bad minute, and both sides have it.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import (
    calibration,
    end_to_end,
    fanout,
    machine,
    postgres,
    report,
    servers,
    shape,
    sockets,
    writer,
)
from benchmarks.host import Host
from benchmarks.report import Row

PARTS = ("writer", "e2e", "fanout", "sockets")
RESULTS = Path(__file__).resolve().parent / "results"
TITLE = "Benchmarks"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    parts: tuple[str, ...]
    rounds: int
    seconds: int
    sockets: int


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it; returns how many figures missed their target."""
    options = _options(argv)
    plan = Plan(
        parts=tuple(options.only or PARTS),
        rounds=options.rounds or (1 if options.quick else 3),
        seconds=1 if options.quick else 3,
        sockets=1000 if options.quick else 3000,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are stopped then, too
    facts = machine.facts()
    started = time.monotonic()
    rows = uvloop.run(_measure(plan))
    facts["took"] = f"{time.monotonic() - started:.0f} s, {plan.rounds} rounds of {plan.seconds} s"
    print(report.write(rows, facts, TITLE, options.output))
    missed = report.missed(rows)
    judged = sum(row.met is not None for row in rows)
    print(f"{len(missed)} of {judged} targets missed; written to {options.output}")
    return len(missed)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parley bench", description="Measure Parley against its targets.")
    parser.add_argument("--quick", action="store_true", help="one short round of everything: a smoke test, no result")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be given again")
    parser.add_argument("--rounds", type=int, help="rounds to take the median of (3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results (benchmarks/results)")
    return parser.parse_args(argv)


async def _measure(plan: Plan) -> list[Row]:
    machine.pin([machine.own_pid()], machine.LOAD_CORE)
    _say("the load generator's ceiling")
    rows = await calibration.measure(plan.rounds)
    async with AsyncExitStack() as stack:
        database, pool = await stack.enter_async_context(postgres.fresh())
        await shape.fill(pool)
        if "writer" in plan.parts:
            _say("the writer")
            machine.pin([machine.own_pid()], machine.ALL_CORES)
            rows += await writer.measure(database, pool, rounds=plan.rounds, seconds=plan.seconds)
            machine.pin([machine.own_pid()], machine.LOAD_CORE)
        if plan.parts == ("writer",):
            return rows
        key = servers.api_key(database.dsn)
        if "e2e" in plan.parts or "fanout" in plan.parts:
            with servers.parley(database.dsn) as server:
                host = Host(server.port, key)
                for part, measure in (("e2e", end_to_end.measure), ("fanout", fanout.measure)):
                    if part in plan.parts:
                        _say(part)
                        rows += await measure(server, host, database, rounds=plan.rounds, seconds=plan.seconds)
        if "sockets" in plan.parts:
            _say("sockets")
            rows += await _sockets(plan, database.dsn, key)
    return rows


async def _sockets(plan: Plan, dsn: str, key: str) -> list[Row]:
    with servers.parley(dsn) as server:
        tokens = Host(server.port, key).people([shape.user_id(n) for n in range(1, plan.sockets + 1)])
    kinds: dict[str, sockets.Running] = {
        "Parley": partial(servers.parley, dsn),
        servers.OURS: partial(servers.broadcasting, b"{}"),
        servers.NODE: partial(servers.node, b"{}"),
    }
    return await sockets.measure(kinds, list(tokens.values()), rounds=plan.rounds)


def _say(what: str) -> None:
    print(f"measuring {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(min(1, main()))

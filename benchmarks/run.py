"""`parley bench`: every figure that Parley defends, in one run, as a table.

    parley bench [--quick] [--long] [--only PART,…] [--rounds N] [--output FOLDER]

What is compared is measured in turn (A, B, A, B, …), and its ratio is the median of the rounds' ratios: the
machine may have a bad minute, and both sides have it.
"""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import calibration, machine, postgres, report, servers, shape
from benchmarks.parts import PARTS, Bench, Plan
from benchmarks.report import Row

RESULTS = Path(__file__).resolve().parent / "results"
TITLE = "Benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it; returns how many figures missed their target."""
    options = _options(argv)
    plan = _plan(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are stopped then, too
    machine.allow_many_files()
    facts = machine.facts()
    started = time.monotonic()
    took: dict[str, float] = {}
    rows = uvloop.run(_measure(plan, took))
    each = ", ".join(f"{part} {seconds:.0f}" for part, seconds in took.items())
    facts["took"] = f"{time.monotonic() - started:.0f} s ({each}), {plan.rounds} rounds of {plan.seconds} s"
    print(report.write(rows, facts, TITLE, options.output))
    missed = report.missed(rows)
    judged = sum(row.met is not None for row in rows)
    print(f"{len(missed)} of {judged} targets missed; written to {options.output}")
    return len(missed)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parley bench", description="Measure Parley against its targets.")
    parser.add_argument("--quick", action="store_true", help="one short round of everything: a smoke test, no result")
    parser.add_argument("--long", action="store_true", help="keep Redis away for 60 s instead of 10")
    parser.add_argument(
        "--only", type=_parts, action="extend", metavar="PART,…", help=f"only these parts, of {', '.join(PARTS)}"
    )
    parser.add_argument("--rounds", type=int, help="rounds to take the median of (3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results (benchmarks/results)")
    return parser.parse_args(argv)


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _plan(options: argparse.Namespace) -> Plan:
    quick = options.quick
    return Plan(
        parts=tuple(options.only or PARTS),
        rounds=options.rounds or (1 if quick else 3),
        seconds=1 if quick else 3,
        sockets=1000 if quick else 3000,
        crowd=400 if quick else 2000,
        readers=200 if quick else 1000,
        outage_s=60 if options.long else 3 if quick else 10,
    )


async def _measure(plan: Plan, took: dict[str, float]) -> list[Row]:
    machine.pin([machine.own_pid()], machine.LOAD_CORE)
    _say("the load generator's ceiling")
    rows = await calibration.measure(plan.rounds)
    for part in plan.parts:
        _say(part)
        started = time.monotonic()
        try:
            rows += await _part(plan, part)
        except Exception as error:  # noqa: BLE001 - the other parts' figures are worth having
            traceback.print_exc()
            rows.append(report.failed(part, error))
        took[part] = time.monotonic() - started
    return rows


async def _part(plan: Plan, part: str) -> list[Row]:
    async with postgres.fresh() as (database, pool):
        await shape.fill(pool)
        return await PARTS[part](Bench(plan, database, pool, servers.api_key(database.dsn)))


def _say(what: str) -> None:
    print(f"measuring {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(min(1, main()))

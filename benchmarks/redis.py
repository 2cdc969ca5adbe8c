"""The Redis of a run, on PostgreSQL's core; and what is said where there is none."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Row, skipped
from tests.support.redis_server import RedisServer, redis_program, running_redis


class RedisMissingError(Exception):
    """There is no `redis-server`; the message says how to get it."""


@contextmanager
def fresh() -> Iterator[RedisServer]:
    """Run a Redis that keeps nothing, as long as the block runs.

    Raises:
        RedisMissingError: there is none to run.
    """
    try:
        redis_program()
    except AssertionError as error:
        raise RedisMissingError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="parley-bench-redis-") as folder, running_redis(Path(folder)) as server:
        yield server


def without(part: str, error: RedisMissingError) -> list[Row]:
    """Say loudly that a part wasn't measured."""
    print(f"\n*** {error}: {part.upper()}: NOT MEASURED ***\n")
    return [skipped(part, "everything", "no redis-server")]

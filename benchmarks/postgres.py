"""The database of a run: Parley's embedded PostgreSQL (durable commits) on a temporary folder, migrated."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import pinned
from kernel import embedded, migrate
from kernel.database import Database


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    dsn: str
    folder: Path

    @property
    def binaries(self) -> Path:
        """Where `pgbench` and the rest are."""
        return embedded.binaries()

    @contextmanager
    def on_cores(self, cores: Sequence[int]) -> Iterator[None]:
        """Keep the server, and the connections made meanwhile, to some cores."""
        with pinned(self._pids(), cores):
            yield

    def _pids(self) -> list[int]:
        folder = str(self.folder.resolve())
        processes = psutil.process_iter(["name", "cwd"])
        return [p.pid for p in processes if p.info["name"] == "postgres" and str(p.info["cwd"]).startswith(folder)]


@asynccontextmanager
async def fresh() -> AsyncIterator[tuple[Postgres, Database]]:
    """Start a server with Parley's newest schema, and connect to it; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101 - PostgreSQL may run as another user
        with embedded.running(Path(folder) / "data") as dsn:
            role = await migrate.upgrade(dsn)
            database = await Database.connect(dsn, size=10, role=role)
            try:
                yield Postgres(dsn, Path(folder)), database
            finally:
                await database.close()

"""The machine: its facts, and which core does what.

The server under test has core 0 to itself; PostgreSQL, Redis and the load generator share core 1. That is how the
figures of others were taken, and it keeps a server from borrowing the core of its load. Where processes can't
be pinned (macOS, a single core) nothing is, and the report says so.
"""

import os
import platform
import resource
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

SERVER_CORE = (0,)
LOAD_CORE = (1,)
ALL_CORES = tuple(range(psutil.cpu_count() or 1))

PINNING = "server on core 0 (two instances share it, unless a row says otherwise); PostgreSQL, Redis and load on core 1"
PINNABLE = hasattr(os, "sched_setaffinity") and len(ALL_CORES) >= 2


def pin(pids: Iterable[int], cores: Sequence[int]) -> None:
    """Let processes (those of one thread) run on `cores` only; what they start from now on too."""
    if PINNABLE:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, cores)


@contextmanager
def pinned(pids: Sequence[int], cores: Sequence[int]) -> Iterator[None]:
    """Pin processes for as long as the block runs, then let them have every core again."""
    pin(pids, cores)
    try:
        yield
    finally:
        pin(pids, ALL_CORES)


@contextmanager
def own_cores(cores: Sequence[int]) -> Iterator[None]:
    """Move to `cores` for as long as the block runs; what it starts stays there."""
    before = sorted(os.sched_getaffinity(0)) if PINNABLE else ALL_CORES
    pin([0], cores)
    try:
        yield
    finally:
        pin([0], before)


def allow_many_files() -> int:
    """Let this process, and what it starts, open as many files as the system allows it; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited", and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def facts() -> dict[str, str]:
    """Return what somebody who reads the figures wants to know about where they come from."""
    return {
        "cores": f"{len(ALL_CORES)} × {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "node": version_of("node") or "none",
        "redis": version_of("redis-server") or "none",
        "files": f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} may be open at once",
        "pinned": PINNING if PINNABLE else "nothing is pinned",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def version_of(program: str) -> str | None:
    """Return what `program --version` says, None where there is no such program."""
    try:
        return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as info:  # noqa: PTH123 - not a file
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def own_pid() -> int:
    """Return the load generator's process."""
    return os.getpid()


class CpuMeter:
    """How much of a core each of some processes has used since the last `restart`."""

    def __init__(self, **pids: int) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.restart()

    def restart(self) -> None:
        self._since = self._seconds()

    def shares(self, elapsed_s: float) -> dict[str, float]:
        """Return the share of one core that each used."""
        now = self._seconds()
        return {name: (now[name] - before) / elapsed_s for name, before in self._since.items()}

    def _seconds(self) -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in self._processes.items()}
        return {name: time.user + time.system for name, time in times.items()}

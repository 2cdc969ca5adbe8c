"""Servers as child processes: started on a core, waited for, always stopped."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import own_cores

START_WITHIN_S = 60
STOP_WITHIN_S = 15


class ServerFailedError(Exception):
    """A server didn't start, or died; the message ends with the end of its output."""


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path], port: int, *, cores: Sequence[int], env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a server on `cores` for as long as the block runs; gives its process id once `port` answers.

    Raises:
        ServerFailedError: it ended, or didn't listen in time.
    """
    with tempfile.TemporaryFile() as output:
        with own_cores(cores):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # Ctrl-C is ours; the block's end stops the server
            )
        try:
            deadline = time.monotonic() + START_WITHIN_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    tail = output.read()[-3000:].decode(errors="replace")
                    raise ServerFailedError(f"{Path(command[0]).name} does not listen on {port}:\n{tail}")
                time.sleep(0.05)
            yield process.pid
        finally:
            _stop(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

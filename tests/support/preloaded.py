"""Commands that run in processes which have imported the server already; see `tests.support.zygote`."""

import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
NUMBER = struct.Struct("!i")
"""How the zygote says a pid and a status."""

_asking = threading.Lock()


class Preloaded(tuple[str, ...]):
    """A command to be run preloaded: a Python script with its arguments, or `python -m` and a module's."""

    __slots__ = ()


class Child:
    """A process that was started preloaded, with as much of `subprocess.Popen` as tests use."""

    def __init__(self, command: Sequence[str], pid: int, channel: socket.socket) -> None:
        self.args = command
        self.pid = pid
        self.returncode: int | None = None
        self._channel = channel

    def poll(self) -> int | None:
        """Return how it ended, or None: not yet."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns its exit code, negative: the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                self.returncode = _number(self._channel)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._channel.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str], *, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes], cwd: Path | None = None
) -> Child:
    """Start a command; its standard input is empty."""
    order = {"command": [*command], "env": dict(env), "cwd": str(cwd or Path.cwd())}
    channel, theirs = socket.socketpair()
    with theirs:
        pid = _fork(theirs.fileno(), stdout.fileno(), stderr.fileno())
    channel.sendall(json.dumps(order).encode())
    channel.shutdown(socket.SHUT_WR)
    return Child(command, pid, channel)


def run(command: Sequence[str], *, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, at most for `timeout` seconds.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = start(command, env=env, stdout=out, stderr=err)
        try:
            child.wait(timeout)
        finally:
            child.kill()
        shown = [_content(file) for file in (out, err)]
    return subprocess.CompletedProcess(command, child.wait(), *shown)


def _fork(*files: int) -> int:
    """Have a child forked that holds these; returns its pid, when it has them."""
    with _asking:
        control = _zygote()
        try:
            socket.send_fds(control, [b"!"], files)
            return _number(control)
        except OSError:
            _zygote.cache_clear()
            raise


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _number(channel: socket.socket) -> int:
    said = channel.recv(NUMBER.size)
    if not said:
        raise BrokenPipeError("the zygote has ended; its standard error says why")
    number: int = NUMBER.unpack(said)[0]
    return number


@cache
def _zygote() -> socket.socket:
    """Start this process's zygote, which ends with it."""
    control, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        control.close()
        process.wait()

    atexit.register(end)
    return control

"""A real Redis that a test may kill, pause and bring back."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_port

START_TIMEOUT_S = 30
NO_REDIS = "No redis-server here: apt-get install redis-server, or brew install redis"


class RedisServer:
    """One Redis process that keeps nothing; its address stays the same over every `start`."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._known = False
        self._log = directory / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What REDIS_URL is to say."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        process = self._launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None:
                self._move()
                process = self._launch()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        self._known = True

    def _move(self) -> None:
        """Take another port if somebody was faster to take this one, and nobody was told of it yet."""
        assert "already in use" in self._log.read_text(), self._log.read_text()
        assert not self._known, self._log.read_text()
        self.port = free_port()

    def kill(self) -> None:
        """End it at once; its connections are reset."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """Let it stand still, its connections open, as a machine does that swaps or is suspended."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it stood still."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _launch(self) -> subprocess.Popen[bytes]:
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [redis_program(), *options], cwd=self._log.parent, stdout=output, stderr=output
            )
        return self._process

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def redis_program() -> str:
    """Return where the program is: the machine's own, else what the test requirements brought."""
    brought = Path(sys.executable).with_name("redis-server")
    program = shutil.which("redis-server") or (str(brought) if brought.exists() else None)
    assert program, NO_REDIS
    return program


@contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """Run a Redis, its log in `directory`."""
    server = RedisServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()

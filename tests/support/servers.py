"""A real `parley serve` process, and a host back end that talks to it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support import preloaded
from tests.support.preloaded import Child, Preloaded

PARLEY = str(Path(sys.executable).with_name("parley"))
SERVE = Preloaded((PARLEY, "serve"))
"""What `(PARLEY, "serve")` does, which is for tests of the way in, but already imported."""
ROOT = Path(__file__).parents[2]
SECRET = "a-secret-for-tests-that-is-long-enough-0123456789"
START_TIMEOUT_S = 180
"""To start takes seconds of computing; where many tests share few processors, many times as long."""
STOP_TIMEOUT_S = 20
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify`: without it every HTTP client first reads the certificates of all authorities, which takes 40 ms."""


class Server:
    """One server process, its output in `log`."""

    def __init__(self, environment: Mapping[str, str], log: Path, program: Sequence[str] = ()) -> None:
        self.program = program or SERVE
        self.ws_path = "/ws/chat"
        self.port = free_port()
        self.environment = environment
        self.log = log
        self._process: subprocess.Popen[bytes] | Child | None = None

    @property
    def url(self) -> str:
        """Where its HTTP is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where its chat socket is, or the one that a test is about."""
        return f"ws://127.0.0.1:{self.port}{self.ws_path}"

    @property
    def personal_url(self) -> str:
        """Where its personal socket is."""
        return f"ws://127.0.0.1:{self.port}/ws/notifications"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready; elsewhere if somebody was faster to take the port."""
        self._launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                told = self.log.read_text()[-3000:]
                assert "already in use" in told, told
                self.port = free_port()
                self._launch()
            if self._answers() and self._listens():
                return
            time.sleep(0.02)
        raise TimeoutError(self.log.read_text()[-3000:])

    def _launch(self) -> None:
        command = (*self.program, "--port", str(self.port))
        start = preloaded.start if isinstance(self.program, Preloaded) else subprocess.Popen
        with self.log.open("ab") as output:
            self._process = start(command, cwd=ROOT, env=self.environment, stdout=output, stderr=output)

    def _answers(self) -> bool:
        """Ask as cheaply as can be: it is asked often."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
            try:
                connection.request("GET", "/health/ready")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False

    def _listens(self) -> bool:
        """Whether it is ours that answers: tests beside us start servers, too."""
        sockets = psutil.Process(self.pid).net_connections("tcp")
        return any(s.status == psutil.CONN_LISTEN and s.laddr.port == self.port for s in sockets)

    def stop(self) -> int:
        """Ask it to stop, and wait; returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def cli(self, *arguments: str) -> str:
        """Run a `parley` command beside it and return what it prints."""
        run = preloaded.run((PARLEY, *arguments), env=self.environment, timeout=60)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class Host:
    """A host's back end: calls Parley with an API key."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self.http = httpx.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
            verify=PLAIN,
        )

    def user(self, user_id: str, **fields: Any) -> str:
        """Create a person and return a token of theirs."""
        body = {"username": user_id, "display_name": user_id.title(), **fields}
        self.http.put(f"/api/users/{user_id}", json=body).raise_for_status()
        return self.token(user_id)

    def token(self, user_id: str, **fields: Any) -> str:
        """Return a token for a person."""
        response = self.http.post("/api/tokens", json={"user_id": user_id, **fields})
        return str(response.raise_for_status().json()["token"])

    def context(self, context_id: str, roles: Mapping[str, str], *, kind: str = "booking", **fields: Any) -> Any:
        """Make a context as wanted."""
        participants = [{"user_id": user, "role": role} for user, role in roles.items()]
        body = {"participants": participants, **fields}
        return self.http.put(f"/api/contexts/{kind}/{context_id}", json=body).raise_for_status().json()

    def person(self, token: str) -> httpx.Client:
        """Return an HTTP client for somebody."""
        return person_at(self.server, token)


def person_at(server: Server, token: str) -> httpx.Client:
    """Return an HTTP client for somebody on a server."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=30, trust_env=False, verify=PLAIN)


@contextmanager
def running_server(
    dsn: str, data_dir: Path, *, variant: str | None = None, program: Sequence[str] = (), **settings: str
) -> Iterator[Server]:
    """Run a server on a database, with settings by their environment names.

    Args:
        dsn: the database.
        data_dir: where it keeps its files and its log.
        variant: one of `tests.support.broken`.
        program: what to run instead of `SERVE`; it must take `--port`.
        settings: by their environment names.
    """
    if variant is not None:
        program = Preloaded((sys.executable, "-m", "tests.support.broken", variant, "serve"))
    data_dir.mkdir(parents=True, exist_ok=True)
    server = Server(environment(dsn, data_dir, **settings), data_dir / "server.log", program)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def environment(dsn: str, data_dir: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a server under test: nothing of the caller's settings leaks in."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PARLEY_", "TWILIO_", "DATABASE_", "REDIS_"))}
    defaults = {
        "DATABASE_URL": dsn,
        "PARLEY_DATA_DIR": str(data_dir),
        "PARLEY_JWT_SECRET": SECRET,
        "PARLEY_MESSAGES_PER_S": "100000",
        "PARLEY_MESSAGE_BURST": "100000",
        "PARLEY_MAX_FRAMES_PER_S": "100000",
        "PARLEY_MAX_REQUESTS_PER_S": "100000",
    }
    return inherited | defaults | settings


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

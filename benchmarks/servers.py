"""The servers under test, each alone on the server's core."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt

from benchmarks.machine import SERVER_CORE
from benchmarks.processes import free_port, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SECRET = "benchmark-secret-of-at-least-32-bytes"
TOKEN_TTL_S = 3600
UNLIMITED = "1000000"
PARLEY: str | Path = Path(sys.executable).parent / "parley"
OURS, NODE = "Parley's hub", "Node ws"


class NodeMissingError(Exception):
    """There is no Node, or its package can't be installed; the message says which."""


@dataclass(frozen=True)
class Server:
    """A running server: where its sockets are opened, and its process."""

    name: str
    port: int
    path: str
    pid: int


def token(user_id: str) -> str:
    """Return a token that every server here accepts."""
    return jwt.encode({"sub": user_id, "exp": int(time.time()) + TOKEN_TTL_S}, SECRET, algorithm="HS256")


@contextmanager
def broadcasting(payload: bytes) -> Iterator[Server]:
    """Run Parley's hub alone, with `payload` as what it broadcasts."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.broadcast_server", str(port), SECRET, payload.decode()]
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    with running(command, port, cores=SERVER_CORE, env=env) as pid:
        yield Server(OURS, port, "/", pid)


@contextmanager
def node(payload: bytes) -> Iterator[Server]:
    """Run Node's `ws`, with `payload` as what it broadcasts.

    Raises:
        NodeMissingError: it can't be had here.
    """
    install_node_packages()
    port = free_port()
    command = ["node", str(HERE / "node" / "server.mjs"), str(port), SECRET, payload.decode()]
    with running(command, port, cores=SERVER_CORE, env={"NODE_ENV": "production"}) as pid:
        yield Server(NODE, port, "/", pid)


def install_node_packages() -> None:
    """Install what `node/package-lock.json` names, once.

    Raises:
        NodeMissingError: there is no Node or npm, or no network.
    """
    if (HERE / "node" / "node_modules" / "ws").is_dir() and shutil.which("node"):
        return
    if not (shutil.which("node") and shutil.which("npm")):
        raise NodeMissingError("Node and npm are not installed")
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, check=False, cwd=HERE / "node", capture_output=True, text=True)
    if done.returncode != 0:
        raise NodeMissingError(f"npm can't install ws: {done.stderr.strip()[-200:]}")


@contextmanager
def parley(
    dsn: str, *, port: int | None = None, cores: Sequence[int] = SERVER_CORE, redis_url: str = ""
) -> Iterator[Server]:
    """Run the real server on a database, with limits that only a benchmark needs."""
    port = port or free_port()
    env = _settings(dsn) | {"REDIS_URL": redis_url}
    with running([PARLEY, "serve", "--port", str(port)], port, cores=cores, env=env) as pid:
        yield Server("Parley", port, "/ws/chat", pid)


@contextmanager
def pair(dsn: str, redis_url: str, *, second_on: Sequence[int] = SERVER_CORE) -> Iterator[tuple[Server, Server]]:
    """Run two instances on one database, which tell each other through a Redis."""
    with (
        parley(dsn, redis_url=redis_url) as one,
        parley(dsn, cores=second_on, redis_url=redis_url) as two,
    ):
        yield one, two


def api_key(dsn: str) -> str:
    """Have the command line make an API key."""
    command = [PARLEY, "keys", "create", "benchmark"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **_settings(dsn)})
    found = re.search(r"\bpk_\S+", done.stdout)
    if found is None:
        raise RuntimeError("`parley keys create` printed no key")
    return found[0]


def _settings(dsn: str) -> dict[str, str]:
    return {
        "DATABASE_URL": dsn,
        "PARLEY_JWT_SECRET": SECRET,
        "PARLEY_LOG_LEVEL": "warning",
        "PARLEY_MESSAGES_PER_S": UNLIMITED,
        "PARLEY_MESSAGE_BURST": UNLIMITED,
        "PARLEY_MAX_FRAMES_PER_S": UNLIMITED,
        "PARLEY_MAX_REQUESTS_PER_S": UNLIMITED,
        "PARLEY_MAX_SOCKETS_PER_USER": UNLIMITED,
        "PARLEY_WS_HEARTBEAT_S": "600",
        "PARLEY_INVITES_PER_SENDER_PER_DAY": "0",
        "PARLEY_INVITES_PER_RECIPIENT_PER_DAY": "0",
        "PARLEY_INVITES_PER_DAY": "0",
        "PARLEY_SMS_PER_S": "0",
        "PARLEY_SMS_MAX_PER_DAY": "0",
        "PARLEY_SMS_MAX_PER_RECIPIENT_PER_DAY": "0",
        "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00",
    }

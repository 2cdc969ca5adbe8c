"""The PostgreSQL server of a place: its settings, its start, and whether it answers."""

import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from kernel.embedded.account import Account
from kernel.embedded.place import PORT, Place, socket_in
from kernel.embedded.process import HERE, die_with_parent, end_leftovers

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A client hears of its own errors. The log would repeat them with values and statements: people's words.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}

FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN = signal.SIGINT, signal.SIGQUIT
PATIENCE_S = 30

ANSWER_WITHIN_S = 5
STARTING_UP = b"57P03"


def clear_ground(place: Place) -> None:
    """Make way for a new server. The caller holds the supervisor's lock: no server is there by right.

    PostgreSQL's own lock files name processes by numbers that others may bear by now, as after a container's
    restart, and would stop it from starting.
    """
    end_leftovers(place)
    lock_files = (place.cluster / "postmaster.pid", place.cluster / f".s.PGSQL.{PORT}.lock")
    for file in (*lock_files, socket_in(place.cluster)):
        file.unlink(missing_ok=True)


def launch(place: Place, binaries: Path, account: Account) -> subprocess.Popen[bytes]:
    """Start the server. Without us it shuts down (Linux). Its log is our standard error."""
    settings = [f"--{name}={value}" for name, value in (SETTINGS | {"cluster_name": place.name}).items()]
    return subprocess.Popen(
        [str(binaries / "postgres"), "-D", HERE, *settings],
        cwd=place.cluster,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        # Safe beside our other thread: it waits in a system call and holds none of Python's locks.
        preexec_fn=die_with_parent(IMMEDIATE_SHUTDOWN),  # noqa: PLW1509 - see above
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )


def stop(server: subprocess.Popen[bytes]) -> None:
    """Shut down cleanly, or if that takes too long, less and less so. Returns when it is gone."""
    for how in (FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN):
        server.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            server.wait(PATIENCE_S)
            return
    server.kill()
    server.wait()


def answers(place: Place) -> bool:
    """Whether the server lets clients in: neither down nor still starting."""
    words = b"user\0postgres\0database\0parley\0\0"
    protocol = 3 << 16
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(ANSWER_WITHIN_S)
        connection.connect(str(socket_in(place.address)))
        connection.sendall(struct.pack("!ii", 8 + len(words), protocol) + words)
        reply = connection.recv(1024)
        connection.sendall(b"X" + struct.pack("!i", 4))
        return bool(reply) and STARTING_UP not in reply
    return False

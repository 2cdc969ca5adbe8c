"""Where one embedded database keeps its things, and how it is reached."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

PORT = 5432
"""Only a part of the socket's name: the server listens on no network address."""

SOCKET_PATH_LIMIT = 103
"""Bytes that a socket's path may have on macOS; Linux allows four more."""

# Not $TMPDIR: every process must work out the same names, whatever its environment.
SHELTER_PARENTS = (Path("/tmp"), Path("/var/lib"))  # noqa: S108 - made with a name and rights of our own


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be started. The message says why, with the end of its log."""


@dataclass(frozen=True)
class Place:
    """The files of one data directory. Everything lies in `root`, except for the shelters while it runs."""

    root: Path
    name: str
    """No other directory has it, nor has the one at the same path in another container."""

    @classmethod
    def at(cls, data_dir: Path) -> Self:
        """The place at `data_dir`. Every spelling of one path gives the same place."""
        root = data_dir.resolve()
        folder = root.stat()
        identity = f"{folder.st_dev}:{folder.st_ino}:".encode() + os.fsencode(root)
        return cls(root, f"parley-{hashlib.sha256(identity).hexdigest()[:16]}")

    @property
    def in_use(self) -> Path:
        """Locked (shared) by each process that uses the database; exclusively by whoever stops the server."""
        return self.root / "in-use"

    @property
    def starting(self) -> Path:
        """Locked by the one process that starts the server, or leaves it."""
        return self.root / "starting"

    @property
    def supervisor(self) -> Path:
        """Locked by the supervisor as long as it lives; holds its process id."""
        return self.root / "supervisor"

    @property
    def cluster(self) -> Path:
        return self.root / "cluster"

    @property
    def log(self) -> Path:
        return self.root / "postgresql.log"

    @property
    def shelters(self) -> list[Path]:
        """Folders outside the place for what cannot lie within; they are gone while the server is down."""
        return [parent / self.name for parent in SHELTER_PARENTS]

    @property
    def shortcut(self) -> Path:
        """A link to the cluster, for where its own path won't do as an address."""
        return self.shelters[0] / "cluster"

    @property
    def needs_shortcut(self) -> bool:
        """A socket's path has few bytes, and clients take a comma for the end of a host."""
        path = os.fsencode(socket_in(self.cluster))
        return len(path) > SOCKET_PATH_LIMIT or b"," in path

    @property
    def address(self) -> Path:
        """The folder of the server's socket, as clients should spell it."""
        return self.shortcut if self.needs_shortcut else self.cluster

    @property
    def dsn(self) -> str:
        # Without the port a PGPORT in the environment would send clients elsewhere.
        return f"postgresql://postgres@/parley?host={quote(str(self.address))}&port={PORT}"

    def log_tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log yet)"


def socket_in(folder: Path) -> Path:
    return folder / f".s.PGSQL.{PORT}"

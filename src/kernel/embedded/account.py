"""Whom the server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
from pathlib import Path
from typing import NamedTuple

from kernel.embedded.place import Place


class Account(NamedTuple):
    """Whom to start a process as, in the words of `subprocess`; all None for ourselves."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def server_account(place: Place) -> Account:
    """Ourselves; for root the owner of the cluster or data directory, or `nobody` where that is root too."""
    if os.geteuid() != 0:
        return Account()
    owner = (place.cluster if place.cluster.exists() else place.root).stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, [])
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, [])


def hand_over(folder: Path, account: Account) -> None:
    """Give `folder` to the server, for its eyes only: a copied or unpacked cluster need not be."""
    folder.chmod(0o700)
    if account.user is None or account.group is None or folder.stat().st_uid == account.user:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.user, account.group, follow_symlinks=False)

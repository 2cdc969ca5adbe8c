"""Folders outside the data directory, for what cannot lie within it (see `Place.shelters`)."""

import os
import shutil
from pathlib import Path

from kernel.embedded.place import EmbeddedPostgresError, Place


def open_shelter(folder: Path) -> None:
    """Make `folder`, or keep it if it is ours. In /tmp anybody may have been there first: it is refused."""
    folder.mkdir(exist_ok=True)
    if not _is_ours(folder):
        raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it")
    # The server's account must pass through to what it may see.
    folder.chmod(0o711)


def make_shortcut(place: Place) -> None:
    open_shelter(place.shortcut.parent)
    place.shortcut.unlink(missing_ok=True)
    place.shortcut.symlink_to(place.cluster)


def close_shelters(place: Place) -> None:
    for folder in place.shelters:
        if _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and folder.lstat().st_uid == os.geteuid()

"""What development makes up and keeps in the data directory, so that it is the same after a restart."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def kept(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; on first need it is made, readable by its owner only.

    Processes that race get the same.
    """
    if not path.exists():
        _create(path, make())
    return path.read_text().strip()


def _create(path: Path, text: str) -> None:
    """Write it in full, then give it its name, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()

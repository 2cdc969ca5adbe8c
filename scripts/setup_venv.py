"""Make `.venv` hold exactly what `requirements/dev.txt` pins, and the project itself, editable.

Needs nothing but a Python with `venv`. Two runs at once are safe: the second waits, then finds the work done.
A run that was killed is made good by the next one. The syntax is old on purpose: an old Python has to get as
far as the message that refuses it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".ready"
INPUTS = ("pyproject.toml", "requirements/dev.txt", "scripts/setup_venv.py")


def main() -> None:
    """Bring the environment up to date, or exit with a message that a newcomer can act on."""
    refuse_unfit_python()
    import fcntl

    directory = os.open(str(ROOT), os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    wanted = digest()
    found = installed()
    if found != wanted:
        install(afresh=found is None)
    STAMP.write_text(wanted)


def refuse_unfit_python() -> None:
    """Exit unless this interpreter is new enough and can make virtual environments."""
    this = "{}.{} ({})".format(sys.version_info[0], sys.version_info[1], sys.executable)
    if sys.version_info < (3, 11):
        sys.exit("Parley needs Python 3.11 or newer; found " + this + ".\nTry: make setup PYTHON=python3.13")
    if os.name != "posix":
        sys.exit("Parley runs on Linux and macOS; on Windows use WSL.")
    try:
        import ensurepip  # noqa: F401 - only whether it is there
        import venv  # noqa: F401 - likewise
    except ImportError:
        sys.exit("Python " + this + " has no venv module. On Debian or Ubuntu: apt-get install python3-venv")


def digest() -> str:
    """What decides the environment's contents, as one hash."""
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()


def installed() -> Optional[str]:
    """The digest of what was last installed in full; None when there is no such environment."""
    return STAMP.read_text() if STAMP.exists() else None


def install(afresh: bool) -> None:
    """Install the pins, then the project. An environment without a stamp is a broken one and is made anew."""
    if afresh:
        run(sys.executable, "-m", "venv", "--clear", str(VENV))
    pip = (str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    print("Installing the pinned packages into .venv (a minute the first time) ...", flush=True)
    run(*pip, "--require-hashes", "--requirement", "requirements/dev.txt")
    run(*pip, "--no-build-isolation", "--no-deps", "--editable", ".")


def run(*command: str) -> None:
    """Run a command in the project's root; its failure is ours."""
    status = subprocess.run(command, cwd=str(ROOT), check=False).returncode
    if status:
        sys.exit("Setting up failed (exit {}): {}".format(status, " ".join(command)))


main()

"""The import rules of `pyproject.toml` hold, and each of them can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DOWN = "Dependencies point down: modules, realtime, bus, kernel"
APART = "Modules meet only through published events"
ROOTLESS = "Nothing imports the composition root or the entry points"
PURE = "Domain, events, ports and errors know no framework"
SILENT = "Services and stores speak neither HTTP nor a vendor's API"
TWILIO = "Only notifications know Twilio"
CLIENT = "The client knows nothing of the server"
SERVER = "The server knows nothing of its client"

BREACHES = [
    (DOWN, "kernel/clock.py", "import bus"),
    (DOWN, "bus/breach.py", "import modules.identity.events"),
    (DOWN, "realtime/breach.py", "from modules.messaging import events"),
    (APART, "modules/messaging/breach.py", "import modules.identity.store"),
    (APART, "modules/notifications/breach.py", "from modules.messaging import service"),
    (ROOTLESS, "modules/messaging/breach.py", "from app import create_app"),
    (ROOTLESS, "kernel/breach.py", "import cli"),
    (ROOTLESS, "realtime/breach.py", "from server import Server"),
    (ROOTLESS, "modules/identity/breach.py", "from demo.cast import PEOPLE"),
    (PURE, "modules/messaging/domain.py", "import sqlalchemy"),
    (PURE, "modules/messaging/domain.py", "from modules.messaging import routes"),
    (PURE, "modules/identity/events.py", "from litestar import get"),
    (PURE, "modules/messaging/errors.py", "import kernel.database"),
    (SILENT, "modules/messaging/service.py", "from litestar.exceptions import HTTPException"),
    (SILENT, "modules/identity/store.py", "import aiohttp"),
    (TWILIO, "modules/messaging/breach.py", "from twilio.rest import Client"),
    (TWILIO, "kernel/breach.py", "import twilio"),
    (CLIENT, "parley_client/breach.py", "from kernel.errors import Problem"),
    (CLIENT, "parley_client/breach.py", "from modules.messaging.schemas import Message"),
    (CLIENT, "parley_client/breach.py", "import app"),
    (SERVER, "modules/messaging/breach.py", "import parley_client"),
    (SERVER, "kernel/breach.py", "from parley_client import Client"),
]


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Check the import rules of the project in that folder, whatever is installed."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and their rules, to be spoilt."""
    project = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", project)
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return project


def test_the_rules_hold() -> None:
    outcome = lint(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(("rule", "file", "line"), BREACHES)
def test_a_breach_is_caught(copy: Path, rule: str, file: str, line: str) -> None:
    breached = copy / "src" / file
    before = breached.read_text() if breached.exists() else None
    breached.write_text(f"{before or ''}\n{line}\n")
    try:
        outcome = lint(copy)
    finally:
        if before is None:
            breached.unlink()
        else:
            breached.write_text(before)
    assert f"{rule} BROKEN" in outcome.stdout, outcome.stdout + outcome.stderr

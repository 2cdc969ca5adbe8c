"""The examples of the guide are run as they stand, by a Python of their own, against a real server."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parley_client import Client
from tests.client.people import SOON, take, texts
from tests.support.servers import ROOT, Host

GUIDE = (ROOT / "docs/guides/client.md").read_text()
SENDING, BOT = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PATIENCE_S = 30


def python(program: str, host: Host, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Run a program in a folder, as if the server were where the guide says."""
    program = program.replace("http://127.0.0.1:8000", host.server.url)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_sending(host: Host, tmp_path: Path) -> None:
    token = host.user("ana")
    assert said(host, tmp_path, token) == "refused: 404 /problems/not-found\n"
    host.context("42", {"ana": "worker"})
    assert re.fullmatch(r"on record: [0-9a-f-]{36} 1\n", said(host, tmp_path, token))


def said(host: Host, folder: Path, token: str) -> str:
    """Return what the first example prints."""
    run = python(SENDING, host, folder, TOKEN=token)
    output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    return output


async def test_the_bot_answers_everybody_once_across_restarts(host: Host, tmp_path: Path) -> None:
    ana = host.user("ana-of-the-bot")
    host.user("bot")
    host.context("bots", {"ana-of-the-bot": "worker", "bot": "supervisor"})
    async with Client(host.server.url, token=ana, options=SOON) as client:
        records = client.records()
        for n in range(3):
            await client.send(("booking", "bots"), "/time", client_id=str(n))
            with bot(host, tmp_path):
                question, answer = await take(records, 2)
                assert texts([question]) == ["/time"]
                assert re.fullmatch(r"It is \d\d:\d\d UTC\.", texts([answer])[0])
        assert list(client.positions.values()) == [6]


@contextmanager
def bot(host: Host, folder: Path) -> Iterator[None]:
    """Run the bot, and end it as Ctrl-C does when it has noted its own answer."""
    place = folder / "bot.json"
    before = place.read_text() if place.exists() else ""
    running = python(BOT, host, folder, KEY=str(host.http.headers["Authorization"]).removeprefix("Bearer "))
    try:
        yield
        deadline = time.monotonic() + PATIENCE_S
        while (not place.exists() or place.read_text() == before) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=PATIENCE_S)

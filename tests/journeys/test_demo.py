"""`parley demo`: what it shows did happen, it can be run again, what it prints can be used, and it stops cleanly."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.servers import PARLEY, environment

PATIENCE_S = 90
"""Somebody who was at a device is asked about again within a minute."""
LAST_LINE = "# A socket for Ben"


class Demo:
    """A running demo, its terminal in a file."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: Path) -> None:
        self.process = process
        self._terminal = terminal

    @property
    def shown(self) -> str:
        """All that the terminal shows."""
        return self._terminal.read_text()

    def shows(self, text: str) -> None:
        """Wait until the terminal shows a text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert self.process.poll() is None, self.shown
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.1)


@contextmanager
def demo(data_dir: Path, terminal: Path, *options: str, **settings: str) -> Iterator[Demo]:
    """Run the demo on a data directory."""
    variables = environment("postgresql://nobody@127.0.0.1:1/not-to-be-touched", data_dir, **settings)
    with terminal.open("wb") as output:
        process = subprocess.Popen(
            [PARLEY, "demo", "--port", "0", *options], env=variables, stdout=output, stderr=output
        )
    try:
        yield Demo(process, terminal)
        process.wait(PATIENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def verdicts(shown: str) -> list[tuple[str, ...]]:
    """Who got an SMS, and why or why not; first those of the booking, then those of the dispute."""
    return re.findall(r"^  (\w+ \w+) +(no SMS|SMS|put off) +(.*)$", shown, re.MULTILINE)


def expected(*rows: str) -> list[tuple[str, ...]]:
    return [tuple(row.split(" | ")) for row in rows]


IN_THE_BOOKING = expected(
    "Ana Ruiz | no SMS | the conversation is on the screen",
    "Bea Novak | no SMS | read already",
    "Ben Carter | SMS | 4 messages wait, unread, and nobody is there",
    "Lea Martin | no SMS | read already",
    "Sam Okafor | no SMS | online and active",
)
IN_THE_DISPUTE = expected(
    "Ana Ruiz | no SMS | the conversation is on the screen",
    "Bea Novak | no SMS | read already",
    "Lea Martin | SMS | 2 messages wait, unread, and nobody is there",
    "Mia Santos | no SMS | no telephone number",
    "Oda Lind | no SMS | online and active",
)


def check(shown: str, *, first_seqs: tuple[int, int]) -> None:
    """Compare what the terminal shows with what is to happen at any time of the day."""
    booking, dispute = first_seqs
    seqs = [int(seq) for seq in re.findall(r"^ +#(\d+) ", shown, re.MULTILINE)]
    assert seqs == [*range(booking, booking + 4), dispute, dispute + 1]
    assert shown.count("heard by Ana (phone), Sam (phone), Bea (browser)") == 1  # what Sam wrote on the laptop
    [(who, why)] = [(who, why) for who, what, why in verdicts(shown) if what == "put off"]
    assert who == "Leo Tanaka"
    assert re.fullmatch(r"until 09:00 in [A-Z][A-Za-z ]+, where it is \d\d:\d\d: quiet hours", why)
    others = [row for row in verdicts(shown) if row[1] != "put off"]
    assert sorted(others[:5]) == IN_THE_BOOKING
    assert sorted(others[5:]) == IN_THE_DISPUTE
    assert shown.count("[development: not sent] SMS to +447*******0") == 2
    assert "You have 4 new messages from Sam Okafor and 2 others" in shown
    assert "403 Read only: The role observer only reads" in shown
    assert "\x1b[" not in shown  # colours are for terminals
    assert max(len(line) for line in shown.splitlines() if "http" not in line and "database" not in line) <= 96


@pytest.mark.long
def test_the_demo_happens_can_be_repeated_and_leaves_a_server_to_try(tmp_path: Path) -> None:
    with demo(tmp_path / "data", tmp_path / "first", "--once") as first:
        first.process.wait(PATIENCE_S)
    assert first.process.returncode == 0, first.shown
    check(first.shown, first_seqs=(1, 1))

    with demo(tmp_path / "data", tmp_path / "second") as second:
        second.shows(LAST_LINE)
        shown = second.shown
        try_what_is_printed(shown[shown.index("\nURL=") : shown.index(LAST_LINE)])
        second.shows("Sam Okafor  SMS       1 message waits")
        second.process.send_signal(signal.SIGINT)
    assert second.process.returncode == 0, second.shown
    check(shown[: shown.index("\nNow you")], first_seqs=(5, 3))


def try_what_is_printed(script: str) -> None:
    """Paste it into a shell."""
    if shutil.which("curl") is None:
        pytest.skip("the commands use curl, which is not installed")
    run = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True)
    assert '"content":"Is anybody there?"' in run.stdout
    assert '"status":"sent"' in run.stdout
    assert '"state":"accepted"' in run.stdout
    assert '"role":"borrower_manager"' in run.stdout
    assert "/problems/" not in run.stdout


@pytest.mark.parametrize(("moment", "how"), [("Starting", signal.SIGINT), ("#2", signal.SIGTERM)])
def test_the_demo_stops_cleanly_whenever_it_is_told_to(tmp_path: Path, moment: str, how: signal.Signals) -> None:
    with demo(tmp_path / "data", tmp_path / "terminal") as running:
        running.shows(moment)
        running.process.send_signal(how)
    assert running.process.returncode == 0, running.shown
    assert "Traceback" not in running.shown
    assert not os.path.lexists(tmp_path / "data/cluster/postmaster.pid")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with demo(tmp_path / "data", tmp_path / "terminal", "--port", port) as refused:
            refused.process.wait(PATIENCE_S)
    assert refused.process.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in refused.shown

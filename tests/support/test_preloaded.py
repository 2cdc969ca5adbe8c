"""A process that was started preloaded is like any, but that it takes no time to start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support import preloaded
from tests.support.preloaded import ROOT, Child

PATIENCE_S = 20
SHOWS = """
import gc, json, os, signal, sys, tempfile, threading, time
print(json.dumps({
    "arguments": sys.argv,
    "name": __name__,
    "path": sys.path[0],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "scratch": tempfile.gettempdir(),
    "zone": time.strftime("%Z", time.localtime(0)),
    "files": [fd for fd in map(int, os.listdir("/dev/fd")) if fd < 64],
    "input": sys.stdin.read(),
    "signals": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "wakeup": signal.set_wakeup_fd(-1),
    "group": os.getpgid(0),
    "threads": threading.active_count(),
    "collects": gc.isenabled(),
}))
print("grüß", file=sys.stderr)
"""
DRAWS = (
    "import random, secrets; from kernel.ids import new_id; print(random.random(), secrets.token_hex(), new_id().node)"
)
WAITS = "import sys, time; print('here', flush=True); time.sleep(600)"
ORDERS = """
import os, sys
from pathlib import Path
from tests.support import preloaded
with open(os.devnull, "wb") as nothing:
    child = preloaded.start((sys.argv[1],), env=os.environ, stdout=sys.stdout.buffer, stderr=nothing)
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


@contextmanager
def running(script: Path, folder: Path) -> Iterator[Child]:
    with (folder / "output").open("wb") as output:
        child = preloaded.start((str(script),), env=os.environ, stdout=output, stderr=output)
    try:
        while not (folder / "output").stat().st_size:
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.wait(PATIENCE_S)


def ran(script: Path, text: str) -> subprocess.CompletedProcess[str]:
    script.write_text(text)
    return preloaded.run((str(script),), env=os.environ, timeout=PATIENCE_S)


def test_it_sees_what_an_ordinary_one_sees(script: Path, tmp_path: Path) -> None:
    script.write_text(SHOWS)
    environment = {**os.environ, "SAID": "grüß", "TMPDIR": str(tmp_path), "TZ": "Asia/Kathmandu"}
    command = (str(script), "--one", "zwei")
    other = subprocess.run(
        (sys.executable, *command),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    one = preloaded.run(command, env=environment, timeout=PATIENCE_S)
    assert json.loads(one.stdout) == json.loads(other.stdout)
    assert (one.returncode, one.stderr) == (0, other.stderr)


def test_it_may_be_a_module_in_another_folder(script: Path, tmp_path: Path) -> None:
    script.write_text(SHOWS)
    with (tmp_path / "shown").open("wb") as shown:
        command = (sys.executable, "-m", "script", "--one")
        child = preloaded.start(command, env=os.environ, cwd=tmp_path, stdout=shown, stderr=shown)
    assert child.wait(PATIENCE_S) == 0
    told = json.loads((tmp_path / "shown").read_text().splitlines()[0])
    here = str(tmp_path)
    assert (told["name"], told["folder"], told["path"]) == ("__main__", here, here)
    assert told["arguments"] == [str(script), "--one"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import atexit; atexit.register(print, 'bye'); raise SystemExit", 0, "bye\n"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)
def test_it_ends_as_others_do(script: Path, text: str, code: int, said: str) -> None:
    run = ran(script, text)
    assert (run.returncode, run.stdout + run.stderr) == (code, said)


def test_what_nobody_catches_is_told(script: Path) -> None:
    run = ran(script, "raise ValueError('no such number')")
    assert (run.returncode, run.stderr.splitlines()[-1]) == (1, "ValueError: no such number")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_can_be_signalled(script: Path, tmp_path: Path, number: signal.Signals) -> None:
    script.write_text(WAITS)
    with running(script, tmp_path) as child:
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.05)
        os.kill(child.pid, number)
        assert child.wait(PATIENCE_S) == child.poll() == -number
        assert not psutil.pid_exists(child.pid)


def test_it_can_be_stopped_and_continued(script: Path, tmp_path: Path) -> None:
    script.write_text(WAITS)
    with running(script, tmp_path) as child:
        process = psutil.Process(child.pid)
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        assert child.poll() is None
        process.resume()
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_S) == -signal.SIGTERM


def test_several_draw_different_numbers(script: Path) -> None:
    drawn = [ran(script, DRAWS).stdout.split() for _ in range(3)]
    assert [len(set(numbers)) for numbers in zip(*drawn, strict=True)] == [len(drawn)] * 3


def test_it_runs_no_longer_than_allowed(script: Path) -> None:
    script.write_text(WAITS)
    with pytest.raises(subprocess.TimeoutExpired):
        preloaded.run((str(script),), env=os.environ, timeout=0.2)


def test_nothing_is_left_of_who_ordered_and_was_killed(script: Path) -> None:
    script.write_text(WAITS)
    command = [sys.executable, "-c", ORDERS, str(script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as orderer:
        assert orderer.stdout is not None
        said = {orderer.stdout.readline().strip() for _ in range(2)}
        (pid,) = said - {"here"}
        child = psutil.Process(int(pid))
        zygote = child.parent()
        assert zygote is not None
        orderer.kill()
    gone, left = psutil.wait_procs([child, zygote], timeout=PATIENCE_S)
    assert (len(gone), left) == (2, [])

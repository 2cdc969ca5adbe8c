"""Several server processes on one port: forked, replaced when they die, stopped together.

Overview: the parent binds the port and forks; a new connection goes to whichever worker takes it first. The parent
itself serves nothing: it waits for its workers and for signals. It imports nothing of the application, so that each
worker begins as a process of its own would.

Concurrency: one thread. Signals only take note and pass on; everything else happens in `run`.

Guarantees:
- A worker that dies is replaced, at most once a second; connections that it hadn't accepted go to the others.
- The others are started once the first takes requests. If it can't, its status is the whole's: nothing is tried for
  ever because of a wrong setting.
- SIGTERM and Ctrl-C drain every worker, a second one hurries them; a worker whose parent is gone drains, too.
- The end comes: a worker that stands still, and so isn't gone `STOP_WITHIN_S` after the first signal, or
  `HURRY_WITHIN_S` after a second, is killed.
"""

import math
import mmap
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from multiprocessing import connection
from multiprocessing.process import BaseProcess

import structlog
import uvicorn

from kernel.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""How the Prometheus client is told where processes share their figures; it looks when it is imported."""
AT_LEAST_S = 1.0
POLL_S = 0.1
STOP_WITHIN_S = 40.0
"""More than a worker takes that waits for everything as long as it may."""
HURRY_WITHIN_S = 15.0


def run(settings: Settings, *, host: str, port: int, count: int) -> int:
    """Serve with `count` processes until told to stop; returns the exit status."""
    listener = uvicorn.Config("app:create_app", host=host, port=port, log_config=None).bind_socket()
    with listener, tempfile.TemporaryDirectory(prefix="parley-metrics-") as folder:
        os.environ[METRICS_DIR] = folder
        return Workers(settings, listener, count).run()


class Workers:
    """The parent's view of its workers."""

    def __init__(self, settings: Settings, listener: socket.socket, count: int) -> None:
        self._settings = settings
        self._listener = listener
        self._count = count
        self._parent = os.getpid()
        self._up = mmap.mmap(-1, 1)
        self._born: dict[BaseProcess, float] = {}
        self._stopping = False
        self._kill_at = math.inf
        self._status = 0

    def run(self) -> int:
        """Keep the workers running until told to stop, or until the first can't start; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        self._launch()
        while self._born:
            ended = connection.wait([process.sentinel for process in self._born], timeout=POLL_S)
            for process in [process for process in self._born if process.sentinel in ended]:
                self._bury(process)
            if time.monotonic() >= self._kill_at:
                self._kill()
            while self._up[0] and len(self._born) < self._count and not self._stopping:
                self._launch()
        return self._status

    def _launch(self) -> None:
        process = multiprocessing.get_context("fork").Process(target=self._work)
        process.start()
        self._born[process] = time.monotonic()
        if self._stopping:  # told so while it was being made
            process.terminate()

    def _bury(self, process: BaseProcess) -> None:
        process.join()
        lived_s = time.monotonic() - self._born.pop(process)
        _forget_gauges(process)
        if self._stopping:
            return
        log.warning("worker_ended", pid=process.pid, status=process.exitcode)
        if self._up[0]:
            time.sleep(max(0.0, AT_LEAST_S - lived_s))
        else:
            self._status = process.exitcode or 1

    def _stop(self) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + (HURRY_WITHIN_S if self._stopping else STOP_WITHIN_S))
        self._stopping = True
        for process in list(self._born):
            process.terminate()

    def _kill(self) -> None:
        self._kill_at = math.inf
        for process in self._born:
            log.warning("worker_killed", pid=process.pid)
            process.kill()

    def _work(self) -> None:
        """Be a worker: Ctrl-C is the parent's to hear, so this leaves the terminal's group."""
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        from server import build  # noqa: PLC0415 - in the worker only, and after METRICS_DIR is set

        try:
            server = build(self._settings, host="", port=0)
            server.serve_under(self._parent, self._say_up)
            server.run(sockets=[self._listener])
        except SettingsError as error:
            sys.stderr.writelines(f"parley: {problem}\n" for problem in error.problems)
            sys.exit(2)

    def _say_up(self) -> None:
        self._up[0] = 1


def _forget_gauges(process: BaseProcess) -> None:
    """Take a dead worker's sockets out of the sum; what it had counted stays."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - after METRICS_DIR is set

    multiprocess.mark_process_dead(process.pid)  # type: ignore[no-untyped-call]  # its authors gave it no types

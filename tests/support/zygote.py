"""A process that has imported the server, and forks: what a command takes seconds to import, its child has.

Run as `python -m tests.support.zygote FD`; `tests.support.preloaded` orders. By the socket FD come, for each child,
its channel and its standard output and error, and its pid goes back; by the channel come its order and, from here, how
it ended.

Concurrency: one thread, and nothing started before a fork: no event loop, no connection, no random state.

Guarantees:
- A child is a process like any: its own pid, environment, working directory and output, no file of anybody else's.
- It runs what the command would run, the script or the module as `__main__`, and ends as any interpreter ends.
- When nobody is left to order, children that still run are asked to stop.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modules.notifications.wording.texts import Texts, our_entries
from tests.support.preloaded import NUMBER

MODULES = (
    "server",
    "tests.support.broken",
    # and what a server imports only when it starts
    "anyio._backends._asyncio",
    "kernel.orm",
    "litestar._kwargs",
    "litestar.exceptions.responses",
    "litestar.middleware._internal.exceptions",
    "litestar.plugins.attrs",
    "uvicorn.loops.uvloop",
)

Order = dict[str, Any]


def main(control: socket.socket) -> Order | None:
    """Fork until nobody orders any more; returns in each child with what it is to run, and at last here without."""
    gc.disable()  # what is imported stays: children needn't look at it, nor copy it because they did
    for name in MODULES:
        importlib.import_module(name)
    Texts(our_entries())  # so that Babel has read what it keeps about our languages
    gc.freeze()
    assert threading.active_count() == 1
    with control, _interrupts_ignored(), _deaths() as deaths:
        order = _fork_for_each(control, deaths)
    if order is not None:
        gc.enable()
    return order


def _fork_for_each(control: socket.socket, deaths: socket.socket) -> Order | None:
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, deaths], [], [])
        if deaths in ready:
            deaths.recv(4096)
            _report(children)
        if control in ready:
            asked, files, _, _ = socket.recv_fds(control, 1, 3)
            if not asked:
                _dismiss(children)
                return None
            channel, out, err = socket.socket(fileno=files[0]), files[1], files[2]
            pid = os.fork()
            if not pid:
                return _born(channel, out, err, children)
            os.close(out)
            os.close(err)
            children[pid] = channel
            _tell(control, pid)


def _report(children: dict[int, socket.socket]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with children.pop(pid) as channel:
                _tell(channel, os.waitstatus_to_exitcode(status))


def _tell(channel: socket.socket, number: int) -> None:
    with suppress(OSError):  # who ordered may not care any more
        channel.sendall(NUMBER.pack(number))


def _dismiss(children: dict[int, socket.socket]) -> None:
    for pid, channel in children.items():
        channel.close()
        os.kill(pid, signal.SIGTERM)


def _born(channel: socket.socket, out: int, err: int, siblings: dict[int, socket.socket]) -> Order:
    for sibling in siblings.values():
        sibling.close()
    for file, number in ((out, 1), (err, 2)):
        os.dup2(file, number)
        os.close(file)
    with channel, channel.makefile("rb") as said:
        order: Order = json.load(said)
    return order


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C at a terminal is for who ordered, and for the children."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _deaths() -> Iterator[socket.socket]:
    """Give what can be read from when a child has ended."""
    woken, waking = socket.socketpair()
    with woken, waking:
        for end in (woken, waking):
            end.setblocking(False)
        before = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, before)


def run(order: Order) -> None:
    """Be what was ordered."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    program, *arguments = order["command"]
    if arguments[:1] == ["-m"]:
        sys.path[0] = order["cwd"]
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program).parent)
        sys.argv = order["command"]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    ordered = main(socket.socket(fileno=int(sys.argv[1])))
    if ordered is not None:
        run(ordered)

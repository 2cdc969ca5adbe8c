"""Ctrl-C is how people stop a server: nothing went wrong."""

import signal
from pathlib import Path

from tests.support.servers import PARLEY, running_server


def test_ctrl_c_stops_the_server_without_complaint(dsn: str, tmp_path: Path) -> None:
    """As people start it, not forked from what has imported it."""
    with running_server(dsn, tmp_path, program=(PARLEY, "serve")) as server:
        assert server._end(signal.SIGINT) == 0
    assert "Aborted" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()

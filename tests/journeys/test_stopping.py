"""Ctrl-C is how people stop a server: nothing went wrong."""

import signal

from tests.support.servers import Server


def test_ctrl_c_stops_the_server_without_complaint(server: Server) -> None:
    assert server._end(signal.SIGINT) == 0
    assert "Aborted" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()

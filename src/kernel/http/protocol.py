"""uvicorn's HTTP protocol, with an end to waiting: for requests that never come whole, and for peers that don't read.

Guarantees, for each connection:
- A request is there within `REQUEST_WITHIN_S` of its first byte, or of the connection, its head within
  `MAX_HEAD_BYTES`; else the connection ends. A request that is being answered takes as long as it takes.
- So does it when a peer takes nothing of its answer for `TAKEN_WITHIN_S`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

REQUEST_WITHIN_S = 30.0
TAKEN_WITHIN_S = 30.0
MAX_HEAD_BYTES = 64 * 1024
TOO_LARGE = b"content-length: 0\r\nconnection: close\r\n\r\n"


class ParleyHttpProtocol(HttpToolsProtocol):
    """Ends connections that only cost; uvicorn itself would wait for ever, and keep a head of any size."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._request_due: asyncio.TimerHandle | None = None
        self._taking_due: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._requests = 0
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._forget_request()
        self._forget_taking()

    def data_received(self, data: bytes) -> None:
        """Take in a piece of a request."""
        requests, in_head = self._requests, self._in_head
        super().data_received(data)
        if self._is_upgraded or self.transport.is_closing():
            return
        if in_head and self._in_head and requests == self._requests:
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(STATUS_LINE[431] + TOO_LARGE)
            self._end()
        elif self._request_due is None and not self._is_answering:
            self._await_request()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the socket's protocol."""
        self._is_upgraded = True
        self._forget_request()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._requests += 1
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Its head is there."""
        super().on_headers_complete()
        self._in_head, self._head_bytes = False, 0
        if self._request_due is None:
            self._await_request()

    def on_message_complete(self) -> None:
        """All of it is there."""
        super().on_message_complete()
        self._in_head = True
        self._forget_request()

    def pause_writing(self) -> None:
        """The peer takes less than it is sent."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """The peer has taken most of it."""
        super().resume_writing()
        self._forget_taking()

    def timeout_keep_alive_handler(self) -> None:
        """Let go of a peer that asks for nothing more, even one that hasn't read the last answer."""
        super().timeout_keep_alive_handler()
        self._end()

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_request(self) -> None:
        self._request_due = self.loop.call_later(REQUEST_WITHIN_S, self.transport.abort)

    def _end(self) -> None:
        """Close, for a while with what is still to be read."""
        self.transport.close()
        self._forget_request()
        self._await_taking()

    def _await_taking(self) -> None:
        self._forget_taking()
        left = self.transport.get_write_buffer_size()
        self._taking_due = self.loop.call_later(TAKEN_WITHIN_S, self._see_taken, left)

    def _see_taken(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._await_taking()
        else:
            self.transport.abort()

    def _forget_request(self) -> None:
        if self._request_due is not None:
            self._request_due.cancel()
            self._request_due = None

    def _forget_taking(self) -> None:
        if self._taking_due is not None:
            self._taking_due.cancel()
            self._taking_due = None

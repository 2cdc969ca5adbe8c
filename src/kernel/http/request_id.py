"""A request id for every request: the caller's `X-Request-ID` where it is sane, else a new one; echoed and logged."""

import re
import time
from http import HTTPMethod
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from kernel.ids import new_id
from kernel.telemetry.metrics import HTTP_DURATION

log = structlog.get_logger("http")

ACCEPTED = re.compile(rb"\A[A-Za-z0-9._-]{1,64}\Z")
KEY = "parley_request_id"
METHODS = frozenset(map(str, HTTPMethod))
"""Others are counted as one, so that nobody can make up labels."""


def request_id_of(scope: Any) -> str | None:
    """Return the id given to this request."""
    request_id: str | None = scope.get("state", {}).get(KEY)
    return request_id


class RequestIdMiddleware:
    """Outermost ASGI layer: the id is bound to all that is logged meanwhile, and one line tells the outcome."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP is timed and logged, sockets log for themselves."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or str(new_id())
        scope.setdefault("state", {})[KEY] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)
            elapsed = time.perf_counter() - started
            route = scope.get("path_template") or "unmatched"
            method = scope["method"] if scope["method"] in METHODS else "other"
            HTTP_DURATION.labels(method, route, status).observe(elapsed)
            log.info("request", method=method, route=route, status=status, ms=round(elapsed * 1000, 2))


def _given(scope: Any) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and ACCEPTED.match(value):
            return str(value, "ascii")
    return None

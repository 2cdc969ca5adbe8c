"""HEAD is answered wherever GET is: with the same headers, and no body."""

from typing import Any

from litestar.types import ASGIApp, Receive, Send


def answering_head(app: ASGIApp) -> ASGIApp:
    """Return `app`, which gets to see GET for HEAD; the server, which knows better, sends no body."""

    async def answer(scope: Any, receive: Receive, send: Send) -> None:
        seen: Any = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await app(seen, receive, send)

    return answer

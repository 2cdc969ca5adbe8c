"""An application in this process, asked without a socket."""

from typing import Any

import httpx


def asked(app: Any, *, address: str = "127.0.0.1", raising: bool = False) -> httpx.AsyncClient:
    """Return a client that comes from an address; `raising`: what the application doesn't answer is raised."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=raising, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://parley", timeout=30)

"""The host's webhooks over HTTP: a server that posts to a real endpoint, and what tests ask of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.support.servers import Host, running_server
from tests.support.webhook_receiver import WebhookReceiver

Json = dict[str, Any]


@contextmanager
def posting_server(dsn: str, folder: Path, endpoint: WebhookReceiver, **more: Any) -> Iterator[Host]:
    """Run a server that may post to the endpoint, and a host with a key for webhooks and all else."""
    with running_server(dsn, folder, PARLEY_WEBHOOK_ALLOWED_ORIGINS=endpoint.url, **more) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            yield host


async def made(http: httpx.AsyncClient, endpoint: WebhookReceiver, *events: str, path: str | None = None) -> Json:
    """Make a webhook, which the endpoint knows, at a path of its own."""
    body = {"url": f"{endpoint.url}/{path or uuid4().hex}", "events": list(events) or ["identity.*"]}
    answered = await http.post("/api/webhooks", json=body)
    assert answered.status_code == 201, answered.text
    webhook: Json = answered.json()
    endpoint.secrets.add(webhook["secret"])
    return webhook


def path_of(webhook: Json) -> str:
    """Return where it leads at the endpoint."""
    return "/" + str(webhook["url"]).rpartition("/")[2]


async def happen(http: httpx.AsyncClient, user_id: str = "") -> str:
    """Let something happen, and return whom it is about."""
    user_id = user_id or f"u-{uuid4().hex[:12]}"
    body = {"username": user_id, "display_name": "Somebody"}
    (await http.put(f"/api/users/{user_id}", json=body)).raise_for_status()
    return user_id


async def log_of(http: httpx.AsyncClient, webhook: Json, **query: str) -> list[Json]:
    """Return the log of a webhook."""
    answered = await http.get(f"/api/webhooks/{webhook['id']}/deliveries", params=query)
    items: list[Json] = answered.raise_for_status().json()["items"]
    return items


async def until_state(http: httpx.AsyncClient, webhook: Json, state: str, count: int = 1) -> list[Json]:
    """Wait until so many of a webhook's deliveries are in a state."""
    async with asyncio.timeout(20):
        while len(found := await log_of(http, webhook, state=state)) < count:
            await asyncio.sleep(0.02)
    return found

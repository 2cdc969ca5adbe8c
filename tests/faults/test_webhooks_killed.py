"""`kill -9` of servers while they post: every event that was committed reaches the host, under one `webhook-id`."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.support.servers import Host, Server, running_server
from tests.support.webhook_receiver import WebhookReceiver, dawdle, webhook_receiver

PEOPLE_A_ROUND = 60
PATIENCE_S = 60
SHORT_S = 6
"""For the broken variants: long after everything else arrived."""


async def test_every_event_arrives_whatever_dies(dsn: str, tmp_path: Path, kills: int) -> None:
    async with webhook_receiver() as endpoint:
        with running_server(dsn, tmp_path, variant="short_webhook_leases", **may_post_to(endpoint)) as server:
            happened = await killed_while_posting(server, endpoint, kills)
            await endpoint.until(lambda one: happened <= people(one), within_s=PATIENCE_S)
    assert len(happened) == PEOPLE_A_ROUND * kills
    names: dict[str, set[str]] = defaultdict(set)
    for one in endpoint.came:
        names[one.payload["data"]["event_id"]].add(one.id)
    assert all(len(ids) == 1 for ids in names.values())
    assert endpoint.forged() == []


async def test_the_same_check_finds_events_that_count_as_delivered_when_taken(dsn: str, tmp_path: Path) -> None:
    assert await missing(dsn, tmp_path, "posts_at_most_once") != set()


async def test_the_same_check_finds_events_of_the_dead_that_nobody_takes_up(dsn: str, tmp_path: Path) -> None:
    assert await missing(dsn, tmp_path, "webhooks_of_the_dead") != set()


async def missing(dsn: str, tmp_path: Path, variant: str) -> set[str]:
    """Return what never arrives when a server of this variant is killed."""
    async with webhook_receiver() as endpoint:
        with running_server(dsn, tmp_path, variant=variant, **may_post_to(endpoint)) as server:
            happened = await killed_while_posting(server, endpoint, 1)
            await asyncio.sleep(SHORT_S)
            with suppress(TimeoutError):
                await endpoint.until(lambda one: happened <= people(one), within_s=SHORT_S)
            return happened - people(endpoint)


def may_post_to(endpoint: WebhookReceiver) -> dict[str, str]:
    """Return the settings of a server that may post there."""
    return {"PARLEY_WEBHOOK_ALLOWED_ORIGINS": endpoint.url}


def people(endpoint: WebhookReceiver) -> set[str]:
    """Return whom the events were about that were taken."""
    return {one.payload["data"]["user_id"] for one in endpoint.taken}


async def killed_while_posting(server: Server, endpoint: WebhookReceiver, kills: int) -> set[str]:
    """Kill the server while requests are under way, and start it again; returns whom events were committed about."""
    endpoint.answers["/hook"] = dawdle(0.2)
    host = Host(server, await asyncio.to_thread(server.cli, "keys", "create", "tests"))
    happened: set[str] = set()
    with host.http:
        body = {"url": f"{endpoint.url}/hook", "events": ["identity.user.updated"]}
        made = host.http.post("/api/webhooks", json=body).raise_for_status().json()
        endpoint.secrets.add(made["secret"])
        for n in range(kills):
            names = [f"p-{n}-{i}" for i in range(PEOPLE_A_ROUND)]
            await asyncio.to_thread(put, host.http, server.url, names)
            happened |= set(names)
            await endpoint.until(lambda one: one.under_way["/hook"] >= 4)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
    return happened


def put(http: httpx.Client, url: str, names: Sequence[str]) -> None:
    """Make people, so that something happens."""
    users = [{"user_id": name, "username": name, "display_name": name} for name in names]
    answered = http.post(f"{url}/api/users/batch", json={"users": users}).raise_for_status().json()
    assert {one["status"] for one in answered["results"]} == {"created"}

"""What is told of a life among contacts: one event for each change by webhook, at sockets what concerns each.

Everything is done over HTTP at a real server; the host's endpoint is a real one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.modules.contacts.guests import Guests, guests
from tests.support.chat import Chat, chat
from tests.support.servers import Host, running_server
from tests.support.webhook_receiver import WebhookReceiver

SETTLED_S = 30
SUBSCRIBED_S = 1.2
"""From a second after the answer on, events are posted."""
LEFT = "SELECT count(*) FROM bus_outbox"


@pytest.fixture
async def endpoint() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


@pytest.fixture
async def three(dsn: str, tmp_path: Path, endpoint: WebhookReceiver) -> AsyncIterator[Guests]:
    with running_server(dsn, tmp_path, PARLEY_WEBHOOK_ALLOWED_ORIGINS=endpoint.url) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, guests(host, "ana", "ben", "cem") as people:
            body = {"url": f"{endpoint.url}/told", "events": ["contacts.*"]}
            host.http.post("/api/webhooks", json=body).raise_for_status()
            await asyncio.sleep(SUBSCRIBED_S)
            yield people


def act(people: Guests, name: str, invite: Any, action: str) -> None:
    """Have somebody do something about an invitation."""
    path = f"/api/invites/{invite.json()['id']}"
    people.clients[name, 0].put(path, json={"action": action}).raise_for_status()


def live(people: Guests) -> None:
    """Do everything that people can do, some of it twice, which is done once."""
    act(people, "ana", people.invite("ana", "ben"), "revoke")
    declined = people.invite("ana", "ben")
    act(people, "ana", declined, "remind")
    act(people, "ben", declined, "decline")
    act(people, "ben", declined, "decline")
    people.invite("ben", "ana")
    assert people.invite("ana", "ben").status_code == 200
    assert people.invite("ana", "ben").status_code == 409
    group = people.a_group("ana")
    act(people, "ben", people.invite("ana", "ben", kind="channel", channel_id=group), "accept")
    people.invite("ben", "cem", metadata={"site": "Dock 4"})
    people.clients["ana", 0].delete(f"/api/contacts/{people.ids['ben']}").raise_for_status()
    people.clients["cem", 0].put(f"/api/blocks/{people.ids['ben']}").raise_for_status()
    assert people.invite("ben", "cem").status_code == 404


EVENTS = {
    "contacts.invite.created": 5,
    "contacts.invite.revoked": 1,
    "contacts.invite.reminded": 1,
    "contacts.invite.declined": 2,
    "contacts.invite.accepted": 2,
    "contacts.contact.added": 1,
    "contacts.contact.removed": 1,
}
OF_BEN = {
    "invite.received": 3,
    "invite.revoked": 1,
    "invite.reminder": 1,
    "invite.declined": 2,
    "invite.accepted": 2,
    "contact.added": 1,
    "contact.removed": 1,
}
OF_CEM = {"invite.received": 1, "invite.declined": 1}


def frames(socket: Chat) -> Counter[str]:
    """Return how often each kind of frame about contacts came to a socket."""
    return Counter(frame["type"] for frame in socket.seen if frame["type"].startswith(("invite.", "contact.")))


async def test_each_change_is_told_once_to_whom_it_concerns(three: Guests, endpoint: WebhookReceiver) -> None:
    url = three.host.server.personal_url
    async with chat(url, three.tokens["ben"]) as ben, chat(url, three.tokens["cem"]) as cem:
        await asyncio.to_thread(live, three)
        await endpoint.until(lambda one: len(one.at("/told")) >= sum(EVENTS.values()))
        async with asyncio.timeout(SETTLED_S):
            while await three.rows(LEFT) != [(0,)]:
                await asyncio.sleep(0.05)
        for socket in (ben, cem):
            await socket.send(type="ping", ref="last")
            await socket.receive("pong")
        assert (frames(ben), frames(cem)) == (OF_BEN, OF_CEM)
    posts = [one.payload for one in endpoint.at("/told")]
    assert Counter(post["type"] for post in posts) == EVENTS
    assert len({post["data"]["event_id"] for post in posts}) == len(posts)
    for post in posts:
        people = post["data"].get("users") or [post["data"]["invite"][side] for side in ("invitor", "invitee")]
        assert {one["username"] for one in people} <= set(three.ids.values()), "names are the server's"
        assert "block" not in str(post)
    (last,) = [post for post in posts if "Dock 4" in str(post) and post["type"].endswith("declined")]
    assert last["data"]["invite"]["metadata"] == {"site": "Dock 4"}

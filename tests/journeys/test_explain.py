"""`parley notifications explain`, as an operator runs it beside a server."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from websockets.sync.client import connect

from tests.support.redis_server import RedisServer
from tests.support.servers import Host, Server, running_server
from tests.support.tables import contents, settled

PHONE = "+4915112345678"
LONG_AGO_ENOUGH = {"PARLEY_SMS_DELAY_S": "3600", "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00"}
BLIND = "Who is online can't be seen from here"


class Scene:
    """A booking in which Ana has written to Bo."""

    def __init__(self, server: Server, host: Host) -> None:
        self.server, self.host = server, host
        self.ana, self.bo = host.user("ana"), host.user("bo", phone=PHONE, time_zone="Europe/Berlin")
        host.context("b1", {"ana": "worker", "bo": "supervisor"})
        self.channel = self.say("a secret text")

    def say(self, text: str) -> str:
        with self.host.person(self.ana) as ana:
            body = {"client_id": str(uuid4()), "content": text}
            sent = ana.post("/api/contexts/booking/b1/messages", json=body).raise_for_status().json()
        settled(self.server.environment["DATABASE_URL"])
        return str(sent["channel_id"])

    def read(self, seq: int) -> None:
        with self.host.person(self.bo) as bo:
            bo.put(f"/api/channels/{self.channel}/read", json={"seq": seq}).raise_for_status()

    def explained(self, user: str = "bo", channel: str | None = None) -> str:
        shown = self.server.cli("notifications", "explain", "--user", user, "--channel", channel or self.channel)
        assert PHONE not in shown
        assert "secret" not in shown
        return shown


@contextmanager
def scene(dsn: str, tmp_path: Path, **settings: str) -> Iterator[Scene]:
    with running_server(dsn, tmp_path, **LONG_AGO_ENOUGH, **settings) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with closing(host.http):
            yield Scene(server, host)


def kept(dsn: str) -> dict[str, str]:
    """Return a digest of the notifications' tables."""
    return {table: digest for table, digest in contents(dsn).items() if table.startswith("notification_")}


def part(shown: str, transport: str) -> str:
    """Return what is said of one transport."""
    return next(part for part in shown.split("\n\n") if part.startswith(f"{transport}: "))


def test_every_transport_says_what_would_happen_and_why(dsn: str, tmp_path: Path) -> None:
    with scene(dsn, tmp_path) as here:
        before = kept(dsn)
        shown = here.explained()
        assert kept(dsn) == before, "it changes nothing"
        assert shown.startswith(f"bo in channel {here.channel}, at 20")
        assert shown.endswith(f"{BLIND}: everybody is supposed to be away.")

        sms = part(shown, "SMS")
        assert sms.startswith("SMS: of messages 1 to 1 the person isn't told yet; it is decided again at 20")
        assert "(grace: it is too young)" in sms
        for line in (
            "  alert         1 heard of, the first at 20",
            "not put off so far",
            "  news          ok: 1 unread, 0 deleted unread",
            "  reach         ok: has an address, and wants it",
            "  time zone     ok: Europe/Berlin (of the profile)",
            "  presence      ok: not online",
            "  pause         ok: none",
            "  quiet hours   ok: none wanted",
            "  grace         waits until 20",
            "  turn          ok: push isn't possible",
            "  transport     ok: free",
        ):
            assert line in sms, (line, sms)
        assert "is never told (no_subscription: no browser is subscribed to push)" in part(shown, "push")

        here.read(1)
        assert "is never told (read: nothing is left that they haven't seen)" in part(here.explained(), "SMS")


def test_quiet_hours_a_pause_and_another_choice_are_shown(dsn: str, tmp_path: Path) -> None:
    with scene(dsn, tmp_path) as here, here.host.person(here.bo) as bo:
        quiet = {"start": "00:00", "end": "23:59", "time_zone": "Asia/Kathmandu"}
        body: dict[str, Any] = {
            "channels": {"push": True, "sms": True, "email": True},
            "categories": {"messages": True, "invites": True},
            "quiet_hours": quiet,
            "paused_until": "2099-01-01T00:00:00Z",
        }
        bo.put("/api/notifications/preferences", json=body).raise_for_status()
        deadline = time.monotonic() + 20
        while "put off last because of paused" not in (sms := part(here.explained(), "SMS")):
            assert time.monotonic() < deadline, sms
        assert "decided again at 2099-01-01T00:00:00.000000Z (paused: they paused notifications)" in sms
        assert "  pause         waits until 2099-01-01T00:00:00.000000Z: paused" in sms
        assert "  time zone     ok: Asia/Kathmandu (chosen with the quiet hours)" in sms
        assert " in Asia/Kathmandu)" in sms
        bo.put("/api/notifications/preferences", json=body | {"channels": body["channels"] | {"sms": False}})
        sms = part(here.explained(), "SMS")
        assert "is never told (preferences: they switched it off)" in sms
        deadline = time.monotonic() + 20
        while "  delivery      messages 1 to 1: suppressed (preferences)" not in (sms := part(here.explained(), "SMS")):
            assert time.monotonic() < deadline, sms
        assert "no alert is open" in sms


def test_strangers_and_unknown_channels_are_said_to_be_such(dsn: str, tmp_path: Path) -> None:
    with scene(dsn, tmp_path) as here:
        assert "nobody of this id, or deactivated" in here.explained(user="nobody")
        assert "takes no part in the channel, or there is none of this id" in here.explained(channel=str(uuid4()))


def test_with_redis_it_sees_who_is_there(dsn: str, tmp_path: Path, redis_server: RedisServer) -> None:
    with scene(dsn, tmp_path, REDIS_URL=redis_server.url) as here:
        with connect(here.server.ws_url, proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": here.bo}))
            assert json.loads(socket.recv(timeout=10))["type"] == "ready"
            socket.send(json.dumps({"type": "view", "channel_id": here.channel}))
            sms = part(shown := here.explained(), "SMS")
            assert BLIND not in shown
            assert "decided again at 20" in sms
            assert "(on_screen: the channel is on the screen of a device that they use)" in sms
            assert "online, and uses a device; this channel is on the screen" in sms
        redis_server.kill()
        assert BLIND in here.explained()

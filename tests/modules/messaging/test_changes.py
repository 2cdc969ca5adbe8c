"""What happens to a message: revisions, deletions, reactions; one log, and everywhere the same fold of it."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.support.chat import Chat, chat
from tests.support.databases import execute
from tests.support.log import damage, read
from tests.support.servers import Host

TWO = {"ana": "worker", "ben": "supervisor"}


class Talk(msgspec.Struct):
    """A booking in which ana has said something; clients of both, and of an outsider."""

    host: Host
    booking: str
    channel: str
    message: dict[str, Any]
    people: dict[str, httpx.Client]
    tokens: dict[str, str]

    def at(self, path: str = "") -> str:
        return f"/api/messages/{self.message['id']}{path}"

    def revise(self, who: str, content: str, client_id: str = "") -> httpx.Response:
        return self.people[who].patch(self.at(), json={"content": content, "client_id": client_id or uuid4().hex})

    def react(self, who: str, emoji: str) -> httpx.Response:
        return self.people[who].put(self.at(f"/reactions/{emoji}"))

    def unreact(self, who: str, emoji: str) -> httpx.Response:
        return self.people[who].delete(self.at(f"/reactions/{emoji}"))

    def shown(self, who: str) -> dict[str, Any]:
        """Return the message as a page of the channel shows it."""
        page = self.people[who].get(f"/api/channels/{self.channel}/messages").raise_for_status().json()
        return next(item for item in page["items"] if item["id"] == self.message["id"])

    def log(self, who: str = "ben") -> list[dict[str, Any]]:
        return list(self.people[who].get(f"/api/channels/{self.channel}/log").raise_for_status().json()["items"])

    async def damage(self) -> list[str]:
        return damage(await read(self.host.server.environment["DATABASE_URL"], self.booking))


@pytest.fixture
def talk(host: Host) -> Any:
    booking = uuid4().hex
    tokens = {name: host.user(name) for name in ("ana", "ben", "olga", "eve")}
    host.context(booking, TWO | {"olga": "worker"})
    people = {name: host.person(token) for name, token in tokens.items()}
    sent = people["ana"].post(f"/api/contexts/booking/{booking}/messages", json={"client_id": "1", "content": "Helo"})
    message = sent.raise_for_status().json()
    yield Talk(host, booking, message["channel_id"], message, people, tokens)
    for client in people.values():
        client.close()


async def test_a_revision_is_a_record_and_every_version_stays(talk: Talk) -> None:
    first, second = talk.revise("ana", "Hello"), talk.revise("ana", "Hello, Ben")
    assert [answer.status_code for answer in (first, second)] == [200, 200]
    shown = talk.shown("ben")
    assert (shown["content"], shown["revision"], shown["seq"]) == ("Hello, Ben", 2, 1)
    assert shown["edited_at"] > shown["created_at"]
    assert shown | {"status": "sent"} == second.json()
    kinds = [(r["seq"], r["kind"], r["content"]) for r in talk.log()]
    assert kinds == [(1, "text", "Helo"), (2, "revision", "Hello"), (3, "revision", "Hello, Ben")]
    versions = talk.people["ben"].get(talk.at("/revisions")).json()
    assert [(v["revision"], v["seq"], v["content"]) for v in versions["items"]] == [
        (0, 1, "Helo"),
        (1, 2, "Hello"),
        (2, 3, "Hello, Ben"),
    ]
    assert versions["next"] is None
    assert await talk.damage() == []


def test_versions_come_in_pages(talk: Talk) -> None:
    for n in range(5):
        talk.revise("ana", f"v{n + 1}")
    found, cursor = [], ""
    while True:
        page = talk.people["ben"].get(talk.at(f"/revisions?limit=2{cursor}"))
        assert page.status_code == 200, page.text
        found += [item["revision"] for item in page.json()["items"]]
        if page.json()["next"] is None:
            break
        cursor = f"&cursor={page.json()['next']}"
    assert found == [0, 1, 2, 3, 4, 5]


def test_the_same_client_id_revises_once(talk: Talk) -> None:
    first, again, other = (talk.revise("ana", text, "c1") for text in ("Hello", "Hello", "Bye"))
    assert first.json()["revision"] == again.json()["revision"] == 1
    assert (other.status_code, other.json()["type"]) == (409, "/problems/client-id-conflict")
    assert len(talk.log()) == 2


def test_a_client_id_is_either_a_message_or_a_revision(talk: Talk) -> None:
    assert talk.revise("ana", "Helo", "1").status_code == 409
    talk.revise("ana", "Hello", "2")
    url = f"/api/channels/{talk.channel}/messages"
    assert talk.people["ana"].post(url, json={"client_id": "2", "content": "Hello"}).status_code == 409


def test_a_message_sent_again_answers_with_what_became_of_it(talk: Talk) -> None:
    talk.revise("ana", "Hello")
    url = f"/api/channels/{talk.channel}/messages"
    again = talk.people["ana"].post(url, json={"client_id": "1", "content": "Helo"})
    assert (again.status_code, again.json()["content"], again.json()["id"]) == (200, "Hello", talk.message["id"])


def test_only_the_sender_revises_and_deletes(talk: Talk) -> None:
    assert talk.revise("ben", "Mine").status_code == 403
    assert talk.people["ben"].delete(talk.at()).status_code == 403
    for method, path, body in (
        ("PATCH", "", {"content": "x", "client_id": "c"}),
        ("DELETE", "", None),
        ("PUT", "/reactions/👍", None),
        ("DELETE", "/reactions/👍", None),
        ("GET", "/revisions", None),
    ):
        foreign = talk.people["eve"].request(method, talk.at(path), json=body)
        unknown = talk.people["eve"].request(method, f"/api/messages/{uuid4()}{path}", json=body)
        bodies = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in (foreign, unknown)]
        assert bodies[0] == bodies[1], path
        assert foreign.status_code == 404, path


async def test_a_deleted_message_says_nothing_to_anybody(talk: Talk) -> None:
    talk.revise("ana", "Hello")
    talk.react("ben", "👍")
    deleted = talk.people["ana"].delete(talk.at())
    assert deleted.status_code == 200
    for who in ("ana", "ben"):
        shown = talk.shown(who)
        assert (shown["content"], shown["is_deleted"], shown["reactions"]) == ("", True, [])
        assert shown["deleted_at"]
        assert [r["content"] for r in talk.log(who) if "content" in r] == ["", ""]
        versions = talk.people[who].get(talk.at("/revisions")).json()["items"]
        assert [v["content"] for v in versions] == ["", ""]
    stored = await read(talk.host.server.environment["DATABASE_URL"], talk.booking)
    assert [r.content for r in stored.records[:2]] == ["Helo", "Hello"]
    assert damage(stored) == []


async def test_catching_up_over_a_deletion_tells_nothing_of_the_text(talk: Talk) -> None:
    talk.revise("ana", "Hello")
    talk.people["ana"].delete(talk.at())
    async with chat(talk.host.server.ws_url, talk.tokens["ben"]) as ben:
        await ben.send(
            type="resume",
            ref="r",
            epoch=ben.ready["epoch"],
            channels=[{"channel_id": talk.channel, "after_seq": 0}],
        )
        await ben.receive("resumed")
    created, revised, deleted, _ = ben.seen[-4:]
    assert [f["type"] for f in (created, revised, deleted)] == ["message.created", "message.revised", "message.deleted"]
    assert [f["seq"] for f in (created, revised, deleted)] == [1, 2, 3]
    assert [f["message"]["content"] for f in (created, revised)] == ["", ""]
    assert created["message"]["is_deleted"]
    assert deleted["deleted_by"] == "ana"


def test_deleting_twice_appends_once_and_then_nothing_more_happens(talk: Talk) -> None:
    first, again = talk.people["ana"].delete(talk.at()), talk.people["ana"].delete(talk.at())
    assert first.json() == again.json()
    assert talk.revise("ana", "Back").json()["type"] == "/problems/message-deleted"
    assert talk.react("ben", "👍").status_code == 409
    assert len(talk.log()) == 2


async def test_reactions_are_sets_in_the_order_of_their_coming(talk: Talk) -> None:
    for who, emoji in (("ben", "❤️"), ("ana", "👍"), ("olga", "👍"), ("ben", "👍"), ("ben", "👍"), ("ana", "👍🏽")):
        assert talk.react(who, emoji).status_code == 200
    assert talk.unreact("olga", "👍").status_code == 200
    assert talk.unreact("olga", "👍").status_code == 200
    assert talk.shown("ben")["reactions"] == [
        {"emoji": "❤️", "user_ids": ["ben"]},
        {"emoji": "👍", "user_ids": ["ana", "ben"]},
        {"emoji": "👍🏽", "user_ids": ["ana"]},
    ]
    assert [r["kind"] for r in talk.log()] == ["text", *["reaction"] * 5, "reaction_removed"]
    assert await talk.damage() == []


@pytest.mark.parametrize(
    "emoji", ["a", "1", "👍👍", "🇪", "é", "\u200b", "x👍", "ab", "👍\u200d", "👋🏽🏽", "❤\ufe0f\ufe0f", "1\ufe0f"]
)
def test_a_reaction_is_one_emoji(talk: Talk, emoji: str) -> None:
    refused = talk.react("ben", emoji)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "{emoji}")


@pytest.mark.parametrize(
    "emoji", ["👍", "👍🏽", "❤", "❤️", "👨‍👩‍👧‍👦", "🇪🇸", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏳️‍🌈", "🫩", "👁️‍🗨️", "1⃣", "☺︎", "☝🏽️", "🧑🏻‍❤️‍💋‍🧑🏿"]
)
def test_any_emoji_will_do(talk: Talk, emoji: str) -> None:
    assert talk.react("ben", emoji).json()["reactions"] == [{"emoji": emoji, "user_ids": ["ben"]}]


def test_a_message_carries_only_so_many_different_emoji(talk: Talk) -> None:
    for n in range(50):
        assert talk.react("ben", chr(0x1F600 + n)).status_code == 200
    refused = talk.react("ben", "👍")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-reactions")
    assert "50" in refused.json()["detail"]
    assert talk.react("ana", chr(0x1F600)).status_code == 200


def test_nothing_happens_in_a_closed_conversation(talk: Talk) -> None:
    talk.host.context(talk.booking, TWO, status="closed")
    answers = [talk.revise("ana", "x"), talk.people["ana"].delete(talk.at()), talk.react("ben", "👍")]
    assert {answer.json()["type"] for answer in answers} == {"/problems/channel-closed"}


def test_who_only_reads_changes_nothing(host: Host) -> None:
    booking = uuid4().hex
    people = {name: host.person(host.user(name)) for name in ("ana", "olga")}
    host.context(booking, {"ana": "claimant", "olga": "observer"}, kind="dispute")
    sent = people["ana"].post(f"/api/contexts/dispute/{booking}/messages", json={"client_id": "1", "content": "x"})
    at = f"/api/messages/{sent.json()['id']}"
    assert people["olga"].put(f"{at}/reactions/👍").json()["type"] == "/problems/read-only"
    assert people["olga"].get(f"{at}/revisions").status_code == 200


async def test_over_sockets_the_same_is_said_to_everybody_in_order(talk: Talk) -> None:
    url, message_id = talk.host.server.ws_url, talk.message["id"]
    async with chat(url, talk.tokens["ana"]) as ana, chat(url, talk.tokens["ben"]) as ben:
        revised = await _asked(ana, "message.revise", message_id=message_id, client_id="r1", content="Hello")
        again = await _asked(ana, "message.revise", message_id=message_id, client_id="r1", content="Hello")
        added = await _asked(ben, "reaction.add", message_id=message_id, emoji="👍")
        twice = await _asked(ben, "reaction.add", message_id=message_id, emoji="👍")
        removed = await _asked(ben, "reaction.remove", message_id=message_id, emoji="👍")
        deleted = await _asked(ana, "message.delete", message_id=message_id)
        await ben.receive("message.deleted")
        heard = [frame for frame in ana.seen + ben.seen if "seq" in frame and frame["type"] != "ack"]
    assert [frame["seq"] for frame in (revised, again, added, twice, removed, deleted)] == [2, 2, 3, 1, 4, 5]
    assert (revised["message"]["content"], revised["message"]["revision"]) == ("Hello", 1)
    assert added["message"]["reactions"] == [{"emoji": "👍", "user_ids": ["ben"]}]
    assert deleted["message"]["is_deleted"]
    assert [(frame["type"], frame["seq"]) for frame in heard] == [
        ("reaction.added", 3),
        ("reaction.removed", 4),
        ("message.revised", 2),
        ("message.deleted", 5),
    ]
    assert [(f["user_id"], f["emoji"]) for f in heard[:2]] == [("ben", "👍")] * 2
    stored = await read(talk.host.server.environment["DATABASE_URL"], talk.booking)
    assert [stored.frame(frame["seq"]) for frame in heard] == heard


async def test_who_was_deactivated_is_named_by_a_pseudonym_in_every_answer(host: Host) -> None:
    booking, gone = uuid4().hex, f"gone-{uuid4().hex[:8]}"
    tokens = {name: host.user(name) for name in (gone, "ben")}
    host.context(booking, {gone: "worker", "ben": "supervisor"})
    with host.person(tokens[gone]) as writer:
        url = f"/api/contexts/booking/{booking}/messages"
        message = writer.post(url, json={"client_id": "1", "content": "Helo"}).raise_for_status().json()
    host.http.delete(f"/api/users/{gone}").raise_for_status()
    with host.person(tokens["ben"]) as ben:
        shown = ben.put(f"/api/messages/{message['id']}/reactions/👍").raise_for_status().json()["sender"]
    async with chat(host.server.ws_url, tokens["ben"]) as socket:
        acks = [
            await _asked(socket, kind, message_id=message["id"], emoji=emoji)
            for kind, emoji in (("reaction.add", "🎉"), ("reaction.add", "🎉"), ("reaction.remove", "🎉"))
        ]
    assert shown["username"].startswith("deactivated-")
    assert [ack["message"]["sender"] for ack in acks] == [shown] * 3


async def test_a_bad_change_is_answered_with_its_ref(talk: Talk) -> None:
    async with chat(talk.host.server.ws_url, talk.tokens["ben"]) as ben:
        bad = await _asked(ben, "reaction.add", message_id=talk.message["id"], emoji="ab")
        foreign = await _asked(ben, "message.delete", message_id=str(uuid4()))
        long = await _asked(ben, "message.revise", message_id=talk.message["id"], client_id="l", content="x" * 5001)
    assert (bad["problem"]["status"], bad["problem"]["errors"][0]["pointer"]) == (400, "/emoji")
    assert foreign["problem"]["status"] == 404
    assert (long["problem"]["status"], long["problem"]["errors"][0]["pointer"]) == (413, "/content")


async def test_changes_from_everybody_at_once_leave_one_fold(talk: Talk) -> None:
    """Fifty at once: seqs without gap, each reaction once, revisions numbered in the order of the log."""
    async with httpx.AsyncClient(base_url=talk.host.server.url, trust_env=False, timeout=30) as client:

        def as_(who: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {talk.tokens[who]}"}

        calls = [
            client.put(talk.at(f"/reactions/{emoji}"), headers=as_(who))
            for who in ("ana", "ben", "olga")
            for emoji in ("👍", "🎉", "👀")
            for _ in range(3)
        ] + [
            client.patch(talk.at(), headers=as_("ana"), json={"client_id": f"r{n}", "content": f"v{n}"})
            for n in range(20)
        ]
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    shown, log = talk.shown("ben"), talk.log()
    assert sorted(r["emoji"] for r in shown["reactions"]) == sorted(("👍", "🎉", "👀"))
    assert all(sorted(r["user_ids"]) == ["ana", "ben", "olga"] for r in shown["reactions"])
    revisions = [record for record in log if record["kind"] == "revision"]
    assert [record["details"]["revision"] for record in revisions] == list(range(1, 21))
    assert shown["content"] == revisions[-1]["content"]
    assert len(log) == 1 + 9 + 20
    assert await talk.damage() == []


async def test_the_fold_is_rebuilt_from_the_log(talk: Talk) -> None:
    """Whatever became of `chat_message_state`: emptied, altered, or with rows that nothing in the log explains."""
    talk.revise("ana", "Hello")
    for emoji in ("👍", "🎉"):
        talk.react("ben", emoji)
    talk.unreact("ben", "🎉")
    before = talk.shown("ben")
    dsn, rebuild = talk.host.server.environment["DATABASE_URL"], ("state", "rebuild")
    damages = (
        f"DELETE FROM chat_message_state WHERE channel_id = '{talk.channel}'",
        f"""
            UPDATE chat_message_state SET reactions = '{{}}', revision = 7, revision_seq = NULL
            WHERE channel_id = '{talk.channel}'
        """,
        f"INSERT INTO chat_message_state (channel_id, seq, updated_seq) VALUES ('{talk.channel}', 3, 9)",
    )
    assert talk.host.server.cli(*rebuild).startswith("0 ")
    for damaged in damages:
        await execute(dsn, damaged)
        assert talk.host.server.cli(*rebuild).startswith("1 "), damaged
        assert talk.shown("ben") == before
        assert talk.host.server.cli(*rebuild).startswith("0 ")


async def _asked(socket: Chat, kind: str, **fields: Any) -> dict[str, Any]:
    """Send a frame and return its ack or error."""
    ref = uuid4().hex
    await socket.send(type=kind, ref=ref, **fields)
    while True:
        frame = await socket.receive("ack", "error")
        if frame.get("ref") == ref:
            return frame

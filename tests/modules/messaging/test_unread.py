"""Unread counts are right after anything, and the same wherever they are shown."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from websockets.sync.client import connect

from kernel.database import Database
from modules.messaging.conversations import Conversations, SpanState
from modules.messaging.counts import Counts, Unread
from tests.support.databases import Databases
from tests.support.naive import NaiveChannel, Text
from tests.support.party import Party
from tests.support.servers import Host, running_server

PEOPLE = ("ana", "ben", "cem", "dan")
FOUNDERS = PEOPLE[:3]

PERSON, ANY = st.sampled_from(PEOPLE), st.integers(0, 1000)


class Span(msgspec.Struct, frozen=True):
    """A stretch of the log, as notifications ask about it."""

    user_id: str
    channel_id: UUID
    from_seq: int
    to_seq: int


class Conversation(RuleBasedStateMachine):
    """A group in which ana stays and the others come and go, beside its naive model."""

    host: Host

    def __init__(self) -> None:
        super().__init__()
        self.party = Party(self.host, PEOPLE)
        self.channel = self.party.group("ana", *FOUNDERS[1:])
        self.model = NaiveChannel(*FOUNDERS)

    @rule(who=PERSON, times=st.integers(1, 4))
    def say(self, who: str, times: int) -> None:
        for _ in range(times if who in self.model.present else 0):
            content = f"{who} says {uuid4()}"
            body = {"client_id": uuid4().hex, "content": content}
            said = self.party.ask(who, "POST", f"/{self.channel}/messages", body).raise_for_status().json()
            self.model.say(said["id"], who, content)
            assert said["seq"] == self.model.last_seq

    @precondition(lambda self: self.model.texts)
    @rule(number=ANY)
    def revise(self, number: int) -> None:
        text = self.text(number)
        if text.sender in self.model.present and not text.deleted:
            text.content = f"rather {uuid4()}"
            self.about(text, text.sender, "PATCH", body={"client_id": uuid4().hex, "content": text.content})

    @precondition(lambda self: self.model.texts)
    @rule(number=ANY, by_admin=st.booleans())
    def delete(self, number: int, by_admin: bool) -> None:
        text = self.text(number)
        who = "ana" if by_admin else text.sender
        if who in self.model.present and not text.deleted:
            text.deleted = True
            self.about(text, who, "DELETE")

    @precondition(lambda self: self.model.texts)
    @rule(who=PERSON, number=ANY, emoji=st.sampled_from("👍🎉"))
    def react(self, who: str, number: int, emoji: str) -> None:
        text = self.text(number)
        if who in self.model.present and not text.deleted and (who, emoji) not in text.reactions:
            text.reactions.add((who, emoji))
            self.about(text, who, "PUT", f"/reactions/{emoji}")

    @rule(who=PERSON, behind=st.integers(-2, 6), kind=st.sampled_from(["read", "delivered"]))
    def mark(self, who: str, behind: int, kind: str) -> None:
        if who in self.model.present:
            seq = max(0, self.model.last_seq - behind)
            told = self.party.ask(who, "PUT", f"/{self.channel}/{kind}", {"seq": seq}).raise_for_status().json()
            self.model.mark(who, seq, read=kind == "read")
            place = self.model.places[who]
            assert (told["last_delivered_seq"], told["last_read_seq"]) == (place.delivered, place.read)

    @rule(who=st.sampled_from(PEOPLE[1:]))
    def come_or_go(self, who: str) -> None:
        if who in self.model.present:
            self.party.remove("ana", self.channel, who).raise_for_status()
            self.model.leave(who)
        else:
            self.party.add("ana", self.channel, who).raise_for_status()
            self.model.join(who)

    @invariant()
    def inboxes_are_as_they_should_be(self) -> None:
        for who in self.model.present:
            (shown,) = self.inbox(who)
            assert shown["unread_count"] == self.model.unread(who), who
            assert shown["last_read_seq"] == self.model.places[who].read
            assert shown["last_seq"] == self.model.last_seq
            assert shown["participant_count"] == len(self.model.present)
            self.shows_the_last(shown["last_message"])

    def teardown(self) -> None:
        try:
            for who in self.model.present:
                self.agrees_everywhere(who)
        finally:
            self.party.close()

    def agrees_everywhere(self, who: str) -> None:
        """The channel's view and `ready` say the same as the inbox, and the spans what the model does."""
        (shown,) = self.inbox(who)
        assert self.inbox(who, "?unread=true") == ([shown] if shown["unread_count"] else [])
        view = self.party.ask(who, "GET", f"/{self.channel}").raise_for_status().json()
        assert {field: view[field] for field in shown} == shown
        head = {"channel_id": self.channel} | {f: shown[f] for f in ("last_seq", "last_read_seq", "unread_count")}
        assert self.ready(who)["channels"] == [head]
        self.is_counted_for_badges(who, shown["unread_count"])
        for first in (1, 1 + self.model.last_seq // 2):
            self.has_states(who, first, self.model.last_seq)

    def has_states(self, who: str, first: int, last: int) -> None:
        """What notifications are told of a stretch is what the model says."""
        span = Span(self.party.ids[who], UUID(self.channel), first, last)
        state = asyncio.run(state_of(self.party.dsn, span))
        unread, senders, deleted, since = self.model.stretch(who, first, last)
        names = tuple(self.party.ids[name].title() for name in senders)
        assert (state.unread_since is None) == (since is None)
        assert msgspec.structs.replace(state, unread_since=None) == SpanState(True, None, unread, names, deleted, since)

    def is_counted_for_badges(self, who: str, unread: int) -> None:
        """Asked for many at once, the counts are those of the inbox, and the newest unread message is named."""
        channel = UUID(self.channel)
        counted = asyncio.run(counts_of(self.party.dsn, [(self.party.ids[name], channel) for name in PEOPLE]))
        found = {(one.user_id, one.channel_id): one for one in counted}
        assert len(counted) == len(found) == len(PEOPLE)
        for name in PEOPLE:
            one = found[self.party.ids[name], channel]
            new = self.model.unread(name) if name in self.model.present else 0
            assert (one.unread_count, one.total_unread) == (new, new), name
            newest = self.model.newest_unread(name) if new else None
            assert one.message_id == (None if newest is None else UUID(newest.id))
            assert one.sender_id == (None if newest is None else self.party.ids[newest.sender])
            assert (one.created_at is None) == (newest is None)
        assert found[self.party.ids[who], channel].unread_count == unread

    def shows_the_last(self, last: dict[str, Any] | None) -> None:
        """The newest message is shown as it is now."""
        if last is None:
            assert not self.model.texts
            return
        text = self.model.texts[-1]
        assert (last["id"], last["seq"], last["is_deleted"]) == (text.id, text.seq, text.deleted)
        assert last["preview"] == ("" if text.deleted else text.content)

    def inbox(self, who: str, query: str = "") -> list[dict[str, Any]]:
        return list(self.party.ask(who, "GET", query).raise_for_status().json()["items"])

    def ready(self, who: str) -> dict[str, Any]:
        """Return what a new socket is told first."""
        with connect(self.host.server.ws_url, proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": self.party.tokens[who]}))
            return dict(json.loads(socket.recv(timeout=10)))

    def text(self, number: int) -> Text:
        return self.model.texts[number % len(self.model.texts)]

    def about(self, text: Text, who: str, method: str, path: str = "", body: Any = None) -> None:
        """Have somebody do something to a message; it becomes one record."""
        url = f"/api/messages/{text.id}{path}"
        self.party.clients[who, 0].request(method, url, json=body).raise_for_status()
        self.model.last_seq += 1


async def state_of(dsn: str, span: Span) -> SpanState:
    """Ask as notifications do."""
    database = await Database.connect(dsn, size=1)
    try:
        return (await Conversations(database).states([span]))[0]
    finally:
        await database.close()


async def counts_of(dsn: str, pairs: list[tuple[str, UUID]]) -> list[Unread]:
    """Ask as badges do."""
    database = await Database.connect(dsn, size=1)
    try:
        return await Counts(database).unread(pairs)
    finally:
        await database.close()


def test_counts_are_right_after_anything_and_the_same_everywhere(host: Host) -> None:
    converse(host, examples=12)


@pytest.mark.long
@pytest.mark.parametrize("variant", ["unread_counts_deleted", "unread_counts_from_the_beginning"])
def test_the_same_comparison_finds_a_count_that_is_wrong(dsn: str, tmp_path: Path, variant: str) -> None:
    """The broken variants: deleted messages count, or those from before somebody joined."""
    with hosted(dsn, tmp_path, variant) as host, pytest.raises(AssertionError):
        converse(host, examples=100)


@pytest.fixture(scope="module")
def host(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host whose people needn't be contacts."""
    with postgres.fresh() as dsn, hosted(dsn, tmp_path_factory.mktemp("server")) as host:
        yield host


@contextmanager
def hosted(dsn: str, data_dir: Path, variant: str | None = None) -> Iterator[Host]:
    """Run a server, or a variant of it."""
    with running_server(dsn, data_dir, variant=variant, PARLEY_REQUIRE_CONTACT="false") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            yield host


def converse(host: Host, *, examples: int) -> None:
    """Have people do anything, and compare."""
    machine = type("Conversation", (Conversation,), {"host": host})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)

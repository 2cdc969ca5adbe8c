"""Blocks: what they end, and that from the other side they look like nobody."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kernel.clock import now
from tests.support.acquaintance import Circle, circle
from tests.support.databases import Databases, execute
from tests.support.party import party, refused
from tests.support.servers import Host, Server, running_server

MAX_BLOCKS = 10_000


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a host that decides itself who meets whom: there blocks are all that parts people."""
    folder = tmp_path_factory.mktemp("free")
    with postgres.fresh() as dsn, running_server(dsn, folder, PARLEY_REQUIRE_CONTACT="false") as running:
        yield running


async def test_a_block_ends_what_there_is_between_two(three: Circle) -> None:
    await three.befriend("ana", "ben")
    group = {"kind": "channel", "channel_role": "member"}
    own = await three.invite("ana", "ben", **group, channel_id=uuid4())
    received = await three.invite("ben", "ana", **group, channel_id=uuid4())
    day = timedelta(days=1)
    old = await three.invite(
        "ben", "ana", **group, channel_id=uuid4(), created_at=now() - 2 * day, expires_at=now() - day
    )
    await three.invite("cem", "ana")
    assert [three.block("ana", "ben").status_code for _ in range(2)] == [204, 204]
    assert await three.ends("ana", "ben") == {
        str(own.id): ("revoked", "ana"),
        str(received.id): ("declined", "ana"),
        str(old.id): ("expired", None),
    }
    assert await three.ends("ana", "cem") == {}
    assert (three.listed("ana"), three.listed("ben")) == ([], [])
    assert (three.listed("ana", "blocks"), three.listed("ben", "blocks")) == (["ben"], [])


async def test_a_pending_invitation_of_a_contact_ends_for_whoever_blocks(three: Circle) -> None:
    sent = await three.invite("ana", "ben")
    assert three.block("ben", "ana").status_code == 204
    assert await three.ends("ana", "ben") == {str(sent.id): ("declined", "ben")}


@pytest.mark.long
async def test_it_would_wait_on_without_ending_it(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_server(dsn, tmp_path, variant="blocks_without_ending") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, party(host, "ana", "ben") as people:
            async with circle(people) as two:
                await two.invite("ana", "ben")
                assert two.block("ben", "ana").status_code == 204
                assert await two.ends("ana", "ben") == {}


async def test_nobody_is_found_out_by_blocking(three: Circle) -> None:
    await three.invite("cem", "ana")
    answers = [three.block("ana", other) for other in ("ben", "nobody-at-all", "cem")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
    assert three.block("ana", "nobody-at-all").status_code == 204
    page = three.call("ana", "GET", "/blocks").json()
    shown = {one["user"].pop("user_id"): one["user"] for one in page["items"]}
    nameless = {"username": None, "display_name": None}
    cem = three.party.ids["cem"]
    assert shown == {
        cem: {"username": cem, "display_name": cem.title()},
        "nobody-at-all": nameless,
        three.party.ids["ben"]: nameless,
    }
    first = three.call("ana", "GET", "/blocks", limit=2).json()
    rest = three.call("ana", "GET", "/blocks", limit=2, cursor=first["next"]).json()
    assert [*first["items"], *rest["items"]] == three.call("ana", "GET", "/blocks").json()["items"]
    assert rest["next"] is None
    assert three.unblock("ana", "nobody-at-all").status_code == three.unblock("ana", "never").status_code == 204
    assert len(three.listed("ana", "blocks")) == 2


async def test_nobody_blocks_themselves_or_without_end(three: Circle) -> None:
    ana = three.party.ids["ana"]
    assert refused(three.block("ana", "ana")) == (400, "malformed", ["{user_id}"])
    many = f"INSERT INTO contact_blocks SELECT '{ana}', 'x' || n FROM generate_series(1, {MAX_BLOCKS}) AS n"
    await execute(three.party.dsn, many)
    answer = three.block("ana", "ben")
    assert refused(answer) == (409, "too-many-blocks", [])
    assert "10,000" in answer.json()["detail"]
    assert three.block("ana", "x1").status_code == 204
    assert three.unblock("ana", "x1").status_code == 204
    assert three.block("ana", "ben").status_code == 204


def body(answer: httpx.Response) -> tuple[int, Any]:
    """Return all that is said but for the id of the request."""
    return answer.status_code, answer.json() | {"request_id": ""}


def told_apart(three: Circle, asker: str, other: str) -> list[str]:
    """Return where somebody is answered otherwise about another than about nobody."""
    people = three.party
    group = people.group(asker, "cem")

    def asked(whom: str) -> list[tuple[int, Any]]:
        several = {"title": "t", "participant_ids": [people.ids["cem"], whom]}
        return [
            body(people.ask(asker, "POST", "/direct", {"user_id": whom})),
            body(people.ask(asker, "POST", "/group", several)),
            body(people.ask(asker, "POST", f"/{group}/participants", {"user_id": whom})),
        ]

    nobody = asked("nobody-at-all")
    assert [status for status, _ in nobody] == [400] * 3
    pairs = zip(("direct", "group", "participants"), asked(people.ids[other]), nobody, strict=True)
    return [where for where, other_s, nobodys in pairs if other_s != nobodys]


@pytest.mark.parametrize(("blocker", "blocked"), [("ben", "ana"), ("ana", "ben")])
async def test_where_nobody_has_to_be_a_contact_the_blocked_look_like_nobody(
    three: Circle, blocker: str, blocked: str
) -> None:
    assert three.party.direct("ana", "ben").status_code == 201
    assert three.block(blocker, blocked).status_code == 204
    assert told_apart(three, "ana", "ben") == []
    assert three.party.direct("ana", "cem").status_code == 201


@pytest.mark.long
async def test_they_would_not_if_blocks_were_no_business_of_messaging(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    settings = {"PARLEY_REQUIRE_CONTACT": "false", "variant": "tells_the_blocked_from_nobody"}
    with running_server(dsn, tmp_path, **settings) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http, party(host, "ana", "ben", "cem") as people:
            async with circle(people) as three:
                assert three.block("ben", "ana").status_code == 204
                assert told_apart(three, "ana", "ben") == ["group", "participants"]


async def test_only_when_neither_blocks_the_other_they_write_again(three: Circle) -> None:
    people = three.party
    channel = people.direct("ana", "ben").json()["id"]

    def writes(name: str) -> int:
        message = {"client_id": uuid4().hex, "content": "hello"}
        return people.ask(name, "POST", f"/{channel}/messages", message).status_code

    assert (three.block("ana", "ben").status_code, writes("ana"), writes("ben")) == (204, 409, 409)
    assert (three.block("ben", "ana").status_code, three.unblock("ana", "ben").status_code) == (204, 204)
    assert (writes("ana"), writes("ben")) == (409, 409)
    assert (three.unblock("ben", "ana").status_code, writes("ana"), writes("ben")) == (204, 201, 201)
    assert [kind for kind, *_ in await people.steps(channel)] == ["channel_archived", "channel_reopened"]


async def test_nobody_fills_a_log_by_blocking_to_and_fro(three: Circle) -> None:
    channel = three.party.direct("ana", "ben").json()["id"]
    answers = [getattr(three, what)("ana", "ben") for _ in range(40) for what in ("block", "unblock")]
    over = next(answer for answer in answers if answer.status_code == 429)
    assert over.json()["detail"] == "At most 1 ends of blocks a second, 20 at once"
    assert int(over.headers["retry-after"]) == 1
    took_s = sum(answer.elapsed.total_seconds() for answer in answers)
    assert len(await three.party.steps(channel)) <= 2 * (20 + took_s + 1) + 1
    assert three.unblock("cem", "ben").status_code == 204, "others may"


async def test_without_the_contact_rule_who_parts_writes_on(three: Circle) -> None:
    people = three.party
    await three.befriend("ana", "ben")
    channel = people.direct("ana", "ben").json()["id"]
    assert three.remove("ana", "ben").status_code == 204
    message = {"client_id": "1", "content": "hello"}
    assert people.ask("ben", "POST", f"/{channel}/messages", message).status_code == 201


async def test_a_channel_from_when_contacts_were_required_opens_when_it_is_asked_for(three: Circle) -> None:
    people = three.party
    await three.befriend("ana", "ben")
    channel = people.direct("ana", "ben").json()["id"]
    await three.part("ana", "ben")
    message = {"client_id": "1", "content": "hello"}
    assert people.ask("ben", "POST", f"/{channel}/messages", message).status_code == 409
    again = people.direct("ben", "ana")
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, channel, "active")
    assert people.ask("ben", "POST", f"/{channel}/messages", message).status_code == 201

"""What two people do at the same moment, at two servers: one was first, and nothing is left that neither wanted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.acquaintance import Circle, circle
from tests.support.log import damage, read
from tests.support.party import party, refused, two_servers

RACERS = 50
ONE, TWO = 0, 1


@asynccontextmanager
async def apart(dsn: str, folder: Path, *names: str, **options: Any) -> AsyncIterator[Circle]:
    """Gather people at two servers of a host whose people have to be contacts."""
    settings = {"PARLEY_REQUIRE_CONTACT": "true"} | options
    with two_servers(dsn, folder, *names, **settings) as people:
        async with circle(people) as gathered:
            yield gathered


def message(client_id: str | None = None) -> dict[str, str]:
    """Return a message to send."""
    return {"client_id": client_id or uuid4().hex, "content": "hello"}


async def written_after(friends: Circle, how: str) -> list[int]:
    """Part two while both write at both servers; returns the statuses of what is sent after the answer, and checks
    that all that was acknowledged stands before the end in the log.
    """
    people = friends.party
    await friends.befriend("ana", "ben")
    channel = people.direct("ana", "ben").json()["id"]
    send = [(name, "POST", f"/{channel}/messages") for name in ("ana", "ben")]
    for _ in range(3):  # so that the server knows the channel by heart
        assert people.ask(*send[1], message(), TWO).status_code == 201
    writing = [(*send[n % 2], message(), n // 2 % 2) for n in range(RACERS)]
    parting = asyncio.to_thread(getattr(friends, how), "ana", "ben")
    parted, *answers = await asyncio.gather(parting, people.together(*writing))
    assert parted.status_code == 204
    late = await people.together(*((*who, message(), at) for who in send for at in (ONE, TWO)))
    acked = [answer.json()["seq"] for answer in answers[0] if answer.status_code == 201]
    assert {answer.status_code for answer in answers[0]} <= {201, 409}
    log = await read(people.dsn, channel)
    assert damage(log) == []
    ends = [record.seq for record in log.records if record.kind == "channel_archived"]
    assert all(seq < ends[-1] for seq in acked)
    return [answer.status_code for answer in late]


async def parted_alone(friends: Circle) -> int:
    """Part two while nobody writes; returns how the other server answers who wrote there just before."""
    people = friends.party
    await friends.befriend("ana", "ben")
    channel = people.direct("ana", "ben").json()["id"]
    for _ in range(3):
        assert people.ask("ben", "POST", f"/{channel}/messages", message(), TWO).status_code == 201
    assert friends.remove("ana", "ben", ONE).status_code == 204
    return people.ask("ben", "POST", f"/{channel}/messages", message(), TWO).status_code


async def left_open(friends: Circle) -> bool:
    """Have two open their direct channel at both servers while one removes the other; returns whether it is open."""
    people = friends.party
    await friends.befriend("ana", "ben")
    opening = [(who, "POST", "/direct", {"user_id": people.ids[whom]}, at) for who, whom, at in OPENING]
    removal = asyncio.to_thread(friends.remove, "ana", "ben", ONE)
    answers, removed = await asyncio.gather(people.together(*opening * 5), removal)
    assert removed.status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 201, 403}, [answer.text for answer in answers]
    pair = sorted((people.ids["ana"], people.ids["ben"]))
    query = "SELECT status FROM chat_channels WHERE direct_low = $1 AND direct_high = $2"
    return ("active",) in await friends.rows(query, *pair)


OPENING = [("ana", "ben", ONE), ("ben", "ana", TWO), ("ana", "ben", TWO), ("ben", "ana", ONE)]


async def test_from_the_answer_on_nothing_more_is_written(dsn: str, tmp_path: Path) -> None:
    async with apart(dsn, tmp_path, "ana", "ben") as friends:
        assert await written_after(friends, "remove") == [409] * 4
        assert await written_after(friends, "block") == [409] * 4
        assert friends.unblock("ana", "ben").status_code == 204
        assert await parted_alone(friends) == 409
        assert not await left_open(friends)
        with party(friends.party.host, "ana", "ben", servers=friends.party.servers) as others:
            assert not await left_open(Circle(others, friends.database))
            assert refused(others.direct("ana", "ben")) == (403, "not-contacts", ["/user_id"])


@pytest.mark.long
async def test_it_would_be_without_a_record_in_the_log(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    async with apart(dsn, tmp_path, "ana", "ben", variant="closes_without_a_record") as friends:
        assert await parted_alone(friends) == 201


@pytest.mark.long
async def test_a_channel_would_be_left_open_without_settling(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    async with apart(dsn, tmp_path, "ana", "ben", variant="opens_what_was_allowed_before") as friends:
        assert await left_open(friends)


async def contacts(three: Circle) -> bool:
    """Return whether ana and ben are contacts; both lists say the same, and their channel is open if so."""
    listed = [three.listed("ana"), three.listed("ben")]
    assert listed in ([[], []], [["ben"], ["ana"]])
    return listed != [[], []]


def statuses(answers: Sequence[Any]) -> list[int]:
    """Return how often each was answered, as a sorted list."""
    return sorted(answer.status_code for answer in answers)


async def test_of_accepting_and_removing_at_once_one_was_last(three: Circle) -> None:
    await three.befriend("ana", "ben")
    channel = three.party.direct("ana", "ben").json()["id"]
    assert three.remove("ana", "ben").status_code == 204
    invite = await three.invite("ana", "ben")
    half = RACERS // 2
    removals = [asyncio.to_thread(three.remove, ("ana", "ben")[n % 2], ("ben", "ana")[n % 2]) for n in range(half)]
    accepted, removed = await asyncio.gather(
        asyncio.gather(*(three.accept(invite) for _ in range(half))), asyncio.gather(*removals)
    )
    assert accepted.count(True) == 1
    assert statuses(removed)[:1] in ([204], [404])
    assert statuses(removed)[1:] == [404] * (half - 1)
    are_contacts = statuses(removed)[0] == 404
    assert await contacts(three) is are_contacts
    kinds = [kind for kind, *_ in await three.party.steps(channel)]
    again = ["channel_reopened"] if are_contacts else ["channel_reopened", "channel_archived"]
    assert kinds == ["channel_archived", *again]


async def test_a_block_is_the_last_word_whatever_happens_beside_it(three: Circle) -> None:
    first = await three.invite("ana", "ben")
    third = RACERS // 3
    blocks = [asyncio.to_thread(three.block, ("ana", "ben")[n % 2], ("ben", "ana")[n % 2]) for n in range(third)]
    others = [asyncio.to_thread(three.block, "ben", f"somebody-{n}") for n in range(third)]
    answers, _, accepted = await asyncio.gather(
        asyncio.gather(*blocks), asyncio.gather(*others), asyncio.gather(*(three.accept(first) for _ in range(third)))
    )
    assert statuses(answers) == [204] * third
    assert accepted.count(True) <= 1
    assert not await contacts(three)
    ends = await three.ends("ana", "ben")
    assert len(ends) == 1
    if True in accepted:
        assert ends == {str(first.id): ("accepted", "ben")}
    else:
        assert ends[str(first.id)] in {("revoked", "ana"), ("declined", "ben")}


async def test_blocks_are_not_more_than_there_may_be_however_many_at_once(three: Circle) -> None:
    ana = three.party.ids["ana"]
    many = "INSERT INTO contact_blocks SELECT $1, 'x' || n FROM generate_series(1, 9990) AS n RETURNING true"
    await three.rows(many, ana)
    answers = await asyncio.gather(*(asyncio.to_thread(three.block, "ana", f"y{n}") for n in range(RACERS)))
    assert statuses(answers) == [204] * 10 + [409] * (RACERS - 10)

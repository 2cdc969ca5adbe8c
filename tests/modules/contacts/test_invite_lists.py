"""Lists of invitations: whose, which, in which order, what may be looked for, and what it costs."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from bus import Bus
from kernel.clock import now
from kernel.settings import Settings
from modules.contacts.service import listing
from modules.contacts.service.listing import Listing
from modules.contacts.store import listing as store
from modules.contacts.store.listing import Filter
from modules.identity.directory import Directory
from modules.identity.module import IdentityModule
from tests.modules.messaging.test_plans import read_by
from tests.support.invitations import Invitations, invitation
from tests.support.party import Party, party, refused
from tests.support.servers import Host
from tests.support.statements import statements

CHANNEL, ELSEWHERE, NOWHERE = (f"01890a5d-ac96-774b-bcce-b30209{n:06}" for n in (1, 2, 3))
"""The same in every process, because tests are named by them."""


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[Party]:
    with party(host, "ana", "ben", "cleo", "eve") as gathered:
        yield gathered


@pytest.fixture(scope="module")
async def known(people: Party, invites: Invitations) -> dict[str, str]:
    """Invitations of ana's, by what is special about them."""
    ana, ben, cleo = (people.ids[name] for name in ("ana", "ben", "cleo"))
    known = {
        "from ben": await invites.one(ben, ana, message="100% safe_harbour"),
        "into a channel": await invites.one(cleo, ana, channel_id=CHANNEL, message="ÜBER ALLES \N{WAVING HAND SIGN}"),
        "declined": await invites.one(cleo, ana),
        "to ben": await invites.one(ana, ben, channel_id=CHANNEL),
        "to cleo": await invites.one(ana, cleo, channel_id=ELSEWHERE, message="مرحبا"),
        "revoked": await invites.one(ana, cleo, channel_id=CHANNEL),
    }
    await invites.end(known["declined"], "declined", ana)
    await invites.end(known["revoked"], "revoked", ana)
    return known


def listed(people: Party, known: dict[str, str], query: str = "", name: str = "ana", path: str = "") -> list[str]:
    """Return what somebody is shown, by what is special about it."""
    page = people.clients[name, 0].get(f"/api/invites{path}?{query}").raise_for_status().json()
    assert page["next"] is None
    names = {invite_id: name for name, invite_id in known.items()}
    return [names[one["id"]] for one in page["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["into a channel", "from ben"]),
        ("kind=contact", ["from ben"]),
        ("direction=received", ["declined", "into a channel", "from ben"]),
        ("status=declined", ["declined"]),
        ("status=pending", ["into a channel", "from ben"]),
        ("direction=sent", ["revoked", "to cleo", "to ben"]),
        ("direction=sent&status=pending", ["to cleo", "to ben"]),
        ("direction=all", ["revoked", "to cleo", "to ben", "declined", "into a channel", "from ben"]),
        ("direction=all&status=pending", ["to cleo", "to ben", "into a channel", "from ben"]),
        (f"direction=all&channel_id={CHANNEL}", ["revoked", "to ben", "into a channel"]),
        (f"direction=all&channel_id={CHANNEL}&status=pending", ["to ben", "into a channel"]),
        (f"channel_id={NOWHERE}", []),
        ("direction=all&kind=contact", ["declined", "from ben"]),
        ("q=SAFE_h", ["from ben"]),
        ("q=100%25", ["from ben"]),
        ("q=%25", ["from ben"]),
        ("q=_", ["from ben"]),
        ("q=%5C", []),
        ("q=über", ["into a channel"]),
        ("q=\N{WAVING HAND SIGN}", ["into a channel"]),
        ("direction=all&q=مرحبا", ["to cleo"]),
        ("q=BEN-", ["from ben"]),
        ("direction=all&q=cleo", ["revoked", "to cleo", "declined", "into a channel"]),
        ("direction=all&q=cleo&status=pending", ["to cleo", "into a channel"]),
        ("direction=all&q=ana", []),
    ],
)
async def test_which_are_shown(people: Party, known: dict[str, str], query: str, expected: list[str]) -> None:
    assert listed(people, known, query) == expected


async def test_what_was_sent_has_a_list_of_its_own(people: Party, known: dict[str, str]) -> None:
    assert listed(people, known, path="/sent") == ["revoked", "to cleo", "to ben"]
    assert listed(people, known, "status=pending&kind=channel&q=ben", path="/sent") == ["to ben"]
    assert listed(people, known, name="eve") == []
    assert listed(people, known, "direction=all", name="eve") == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("direction=mine", "?direction"),
        ("status=gone", "?status"),
        ("kind=group", "?kind"),
        ("channel_id=1", "?channel_id"),
        ("q=", "?q"),
        ("q=a%00", "?q"),
        (f"q={'x' * 101}", "?q"),
        ("cursor=eyJh", "?cursor"),
        ("limit=101", "?limit"),
    ],
)
async def test_a_bad_question_is_refused(people: Party, query: str, pointer: str) -> None:
    for path in ("", "/sent"):
        if path == "" or "direction" not in query:
            answer = people.clients["ana", 0].get(f"/api/invites{path}?{query}")
            assert refused(answer) == (400, "malformed", [pointer])


async def test_one_past_its_time_does_not_wait(people: Party, invites: Invitations) -> None:
    """Whether the worker has come by or not, nobody can tell."""
    over = {"created_at": now() - timedelta(days=2), "expires_at": now() - timedelta(days=1)}
    await invites.one(people.ids["ben"], people.ids["eve"], **over)
    eve = people.clients["eve", 0]
    assert eve.get("/api/invites").json()["items"] == []
    assert eve.post("/api/invites/accept-all").json()["results"] == []


async def test_pages_follow_each_other_whatever_comes_between(people: Party, invites: Invitations) -> None:
    cleo = people.clients["cleo", 0]
    made = [await invites.one(people.ids["eve"], people.ids["cleo"], channel_id=str(uuid4())) for _ in range(7)]
    for query in ("direction=received&limit=3", "direction=all&limit=3&q=eve"):
        seen: list[str] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            cursor = f"&cursor={page['next']}" if page["next"] else ""
            page = cleo.get(f"/api/invites?{query}{cursor}").raise_for_status().json()
            assert len(page["items"]) <= 3
            seen += [one["id"] for one in page["items"]]
            await invites.one(people.ids["eve"], people.ids["cleo"], channel_id=str(uuid4()))
        assert [one for one in seen if one in made] == made[::-1]
        assert all(one > other for one, other in pairwise(seen))


async def test_figures_are_of_what_one_sent_and_received(people: Party, host: Host, invites: Invitations) -> None:
    with party(host, "fay", "gil") as two:
        fay, gil = two.ids["fay"], two.ids["gil"]
        nothing = figures(two, "fay")
        assert (nothing["total"], nothing["acceptance_rate"], nothing["median_response_s"]) == (0, None, None)
        begun = now() - timedelta(hours=1)
        for sender, receiver, status, after_s in (
            (fay, gil, "accepted", 10),
            (fay, gil, "declined", 20),
            (gil, fay, "accepted", 60),
            (fay, gil, "revoked", 99),
            (gil, fay, "expired", 99),
        ):
            made = await invites.one(sender, receiver, created_at=begun)
            await invites.end(made, status, None, begun + timedelta(seconds=after_s))
        await invites.one(fay, gil, channel_id=str(uuid4()))
        mine = figures(two, "fay")
        none = dict.fromkeys(("pending", "accepted", "declined", "revoked", "expired"), 0)
        assert mine == {
            "scope": "mine",
            "counts": {
                "contact": none | {"accepted": 2, "declined": 1, "revoked": 1, "expired": 1},
                "channel": none | {"pending": 1},
            },
            "total": 6,
            "acceptance_rate": 0.5,
            "median_response_s": 20.0,
        }
        sent = figures(two, "fay", "direction=sent")
        assert (sent["total"], sent["acceptance_rate"], sent["median_response_s"]) == (4, 0.5, 15.0)
        assert figures(two, "gil", "direction=received") == sent
        assert refused(two.clients["fay", 0].get("/api/invites/stats?scope=all")) == (403, "forbidden", [])
        with host.person(host.token(fay, role="admin")) as admin:
            whole = admin.get("/api/invites/stats?scope=all").raise_for_status().json()
            assert whole["scope"] == "all"
            [(count,)] = await invites.fetch("SELECT count(*) FROM contact_invites")
            assert whole["total"] == count == sum(sum(kind.values()) for kind in whole["counts"].values())
            both = admin.get("/api/invites/stats?scope=all&direction=sent")
            assert refused(both) == (400, "malformed", ["?direction"])


def figures(people: Party, name: str, query: str = "") -> Any:
    return people.clients[name, 0].get(f"/api/invites/stats?{query}").raise_for_status().json()


PEOPLE = """
INSERT INTO identity_users (user_id, username, display_name)
SELECT name, name, name FROM unnest(array['ben'] || ARRAY(SELECT 'ana-' || i FROM generate_series(0, 29) i)) AS name
"""


@pytest.fixture
async def lists(dsn: str, settings: Settings) -> AsyncIterator[tuple[Listing, Directory, Invitations, list[str]]]:
    """Lists on a database of their own that notes its statements."""
    async with statements(dsn) as (database, noted):
        directory = IdentityModule(settings=settings, database=database, bus=Bus()).directory
        async with database.transaction() as tx:
            await tx.connection.execute(PEOPLE)
        yield Listing(database, directory, now), directory, Invitations(database), noted


@pytest.mark.parametrize(("text", "most"), [(None, 2), ("ana", 4)])
async def test_a_page_costs_the_same_however_long_it_is(lists: Any, text: str | None, most: int) -> None:
    shown, directory, made, noted = lists
    await made.make(*(invitation(f"ana-{n}", "ben") for n in range(30)))
    for limit in (3, 30):
        directory.forget_all()
        noted.clear()
        page = await shown.page("ben", Filter(direction="all"), text=text, limit=limit, cursor=None)
        assert len(page.items) == limit
        assert len(noted) <= most, noted


async def test_a_search_looks_through_so_many_at_a_time(lists: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LOOKED_THROUGH", 4)
    shown, _, made, _ = lists
    texts = ["here", *[None] * 8, "here"]
    ids = await made.make(*(invitation("ana-0", "ben", channel_id=uuid4(), message=text) for text in texts))
    pages: list[list[Any]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = await shown.page("ben", Filter(), text="HERE", limit=50, cursor=cursor)
        pages.append([one.id for one in page.items])
        cursor = page.next
    assert pages == [[ids[9]], [], [ids[0]]]


FILL = """
ALTER TABLE contact_invites SET (autovacuum_enabled = off);
INSERT INTO contact_invites (id, kind, status, invitor_id, invitee_id, channel_id, channel_role, created_at, expires_at,
                             responded_at)
SELECT md5(i::text)::uuid, 'channel', CASE WHEN i % 400 = 0 THEN 'pending' ELSE 'accepted' END,
    CASE WHEN i % 2 = 0 THEN 'ana' ELSE 'user-' || i END, CASE WHEN i % 2 = 0 THEN 'user-' || i ELSE 'ben' END,
    md5(i::text)::uuid, 'member', now() - interval '1 day', now() + interval '1 day',
    CASE WHEN i % 400 > 0 THEN now() END
FROM generate_series(1, 8000) i;
INSERT INTO contact_invites (id, kind, invitor_id, invitee_id, channel_id, channel_role, created_at, expires_at)
SELECT md5('cleo' || i)::uuid, 'channel', CASE WHEN i % 2 = 0 THEN 'cleo' ELSE 'dan' END,
    CASE WHEN i % 2 = 0 THEN 'dan' ELSE 'cleo' END, md5(i::text)::uuid, 'member', now() - interval '1 day',
    now() + interval '1 day'
FROM generate_series(1, 20) i
"""
FEW = 60


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_lists_cost_what_they_show(dsn: str, mode: str, *, analyzed: bool) -> None:
    """Whoever has many, and whatever others have; also before the first ANALYZE."""
    connection = await asyncpg.connect(dsn, server_settings={"plan_cache_mode": mode})
    asked: list[tuple[str, Filter]] = [("ana", Filter(direction="sent")), ("ana", Filter(direction="all"))]
    asked += [("ana", Filter(direction=side, status="pending")) for side in ("received", "sent", "all")]
    asked += [("cleo", Filter(direction=side)) for side in ("received", "sent", "all")]
    try:
        await connection.execute(FILL + ("; ANALYZE contact_invites" if analyzed else ""))
        for user_id, wanted in asked:
            statement = "EXPLAIN (ANALYZE, FORMAT JSON) " + store.page_of(wanted)
            question = (user_id, wanted.status, now(), None, None, None, 10)
            explained = await connection.fetchval(statement, *question)
            assert max(read_by(json.loads(explained)[0]["Plan"])) <= FEW, (user_id, wanted)
        waiting = "EXPLAIN (ANALYZE, FORMAT JSON) " + store.OPEN_RECEIVED
        explained = await connection.fetchval(waiting, "cleo", now(), None, 10)
        assert max(read_by(json.loads(explained)[0]["Plan"])) <= FEW
    finally:
        await connection.close()

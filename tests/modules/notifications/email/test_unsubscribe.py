"""Unsubscribing with one click: who has the link can, and can do nothing else."""

import asyncio
import base64
import hashlib
import io
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.database import Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.notifications.domain.outcomes import Accepted
from modules.notifications.domain.preferences import Categories, Preferences
from modules.notifications.store import people
from modules.notifications.transports import Transport
from modules.notifications.unsubscribe.tokens import LONGEST, read, token
from modules.notifications.unsubscribe.unsubscribing import Links, Unsubscribing
from tests.modules.notifications.conftest import PUBLIC_URL, Clock, House
from tests.modules.notifications.email.test_mails import read as read_html
from tests.modules.notifications.world import Person, World

PATH = "/api/notifications/unsubscribe"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SECRET = b"s" * 32
BO = "bo@people.example"


@pytest.fixture
def links(database: Database) -> Links:
    """Makes links as the transport does."""
    return Links(database=database, public_url=PUBLIC_URL)


@pytest.fixture
async def link(links: Links, world: World) -> str:
    """A link for bo, who is in a channel with ana and reads German."""
    world.join(uuid4(), Person("ana"), Person("bo", email=BO, locale="de-CH"))
    return (await links.link("bo", BO)).removeprefix(PUBLIC_URL)


async def choices(http: httpx.AsyncClient, user_id: str = "bo") -> Any:
    """Return somebody's preferences."""
    response = await http.get("/api/notifications/preferences", headers={"Authorization": f"Bearer {user_id}/user"})
    return response.raise_for_status().json()


async def test_one_click_ends_email_and_nothing_else(http: httpx.AsyncClient, link: str) -> None:
    before = await choices(http)
    assert before["channels"]["email"] is True
    for _ in range(2):
        answer = await http.post(link, data=ONE_CLICK)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert await choices(http) == before | {"channels": before["channels"] | {"email": False}}
    assert await choices(http, "ana") == before


@pytest.mark.parametrize(
    "form",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"List-Unsubscribe=One-Click\r\n", "headers": {"Content-Type": "text/plain"}},
        {},
        {"content": b"\xff\x00", "headers": {"Content-Type": "application/json"}},
    ],
)
async def test_nobody_is_turned_away_for_the_form(http: httpx.AsyncClient, link: str, form: dict[str, Any]) -> None:
    assert (await http.post(link, **form)).status_code == 200
    assert (await choices(http))["channels"]["email"] is False


async def test_what_was_chosen_before_stays(http: httpx.AsyncClient, link: str, house: House) -> None:
    chosen = await choices(http) | {"quiet_hours": None, "paused_until": "2027-01-01T00:00:00.000000Z"}
    chosen["channels"] = {"push": False, "sms": True, "email": True}
    headers = {"Authorization": "Bearer bo/user"}
    (await http.put("/api/notifications/preferences", json=chosen, headers=headers)).raise_for_status()
    await http.post(link)
    assert await choices(http) == chosen | {"channels": {"push": False, "sms": True, "email": False}}


async def test_many_clicks_at_once_with_other_choices(http: httpx.AsyncClient, link: str) -> None:
    """Whoever chooses at the same moment isn't half undone: either all of a choice holds, or all but e-mail."""
    other = await choices(http) | {"categories": {"messages": False, "invites": False}, "quiet_hours": None}
    headers = {"Authorization": "Bearer bo/user"}
    put = http.put("/api/notifications/preferences", json=other, headers=headers)
    answers = await asyncio.gather(*(http.post(link) for _ in range(8)), put, *(http.post(link) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    after = await choices(http)
    assert (after["categories"], after["quiet_hours"]) == (other["categories"], None)
    await http.post(link)
    assert (await choices(http))["channels"]["email"] is False


class Rewriting(Unsubscribing):
    """The broken variant: reads the choices, and writes them back without e-mail."""

    async def _switch_off(self, user_id: str) -> None:
        async with self._database.connection() as connection:
            before = (await people.preferences_of(connection, [user_id])).get(user_id, self._defaults)
        await asyncio.sleep(0.2)
        channels = msgspec.structs.replace(before.channels, email=False)
        async with self._database.transaction() as tx:
            await people.save_preferences(tx.connection, user_id, msgspec.structs.replace(before, channels=channels))


async def chosen_meanwhile(house: House, link: str, unsubscribing: Unsubscribing) -> bool:
    """Return whether a choice that commits while somebody unsubscribes outlives that."""
    before = await house.module.service.preferences("bo")
    async with house.database.transaction() as tx:
        await people.save_preferences(
            tx.connection, "bo", msgspec.structs.replace(before, categories=Categories(False))
        )
        ending = asyncio.ensure_future(unsubscribing.end(link.partition("token=")[2]))
        await asyncio.sleep(0.1)
    await ending
    after = await house.module.service.preferences("bo")
    assert after.channels.email is False
    return after.categories.messages is False


async def test_a_choice_at_the_same_moment_is_not_undone(house: House, link: str, links: Links, world: World) -> None:
    assert await chosen_meanwhile(house, link, house.module.unsubscribing)
    service = house.module.service
    careless = Rewriting(
        database=house.database,
        links=links,
        recipients=world,
        defaults=Preferences(),
        reconsider=service.reconsider,
    )
    await service.choose("bo", Preferences())
    assert not await chosen_meanwhile(house, link, careless)


async def test_a_look_changes_nothing_and_asks_in_the_readers_language(http: httpx.AsyncClient, link: str) -> None:
    page = await http.get(link)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    html = read_html(page.text)
    assert html.attributes == {"lang": "de", "dir": "ltr"}
    assert "Möchten Sie keine E-Mails mehr" in html.text
    assert (await http.head(link)).status_code in {200, 405}  # HEAD is answered around the routes, if at all
    assert (await choices(http))["channels"]["email"] is True
    assert "Sie bekommen keine E-Mails mehr" in (await http.post(link)).text


async def test_the_page_loads_nothing_runs_nothing_and_keeps_its_address_to_itself(
    http: httpx.AsyncClient, link: str
) -> None:
    page = await http.get(link)
    html = read_html(page.text)
    assert html.links == []
    assert set(html.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "form", "input", "button")
    }
    policy = page.headers["content-security-policy"]
    [style] = re.findall("<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        *("default-src 'none'", f"style-src 'sha256-{digest}'", "form-action 'self'"),
        *("frame-ancestors 'none'", "base-uri 'none'"),
    ]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert link.partition("token=")[2] not in page.text


async def test_the_pages_form_is_the_one_click(http: httpx.AsyncClient, link: str) -> None:
    """What its button sends, by the rules of HTML: the hidden field, to the page's own address."""
    page = (await http.get(link)).text
    assert re.search(r'<form method="post">\s*<input type="hidden" name="List-Unsubscribe" value="One-Click">', page)
    assert "action" not in page.partition("<form")[2]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_is_not_ours_is_told_so(http: httpx.AsyncClient, link: str, method: str) -> None:
    given = link.partition("token=")[2]
    for bad in (given[:-1], given[1:], given + "A", "A" * 100, "x", given.swapcase(), token(SECRET, "bo", BO)):
        answer = await http.request(method, PATH, params={"token": bad})
        assert answer.status_code == 404
        assert "This link isn&#x27;t valid" in answer.text
        assert read_html(answer.text).attributes["lang"] == "en"
    assert (await choices(http))["channels"]["email"] is True


@pytest.mark.parametrize("query", ["", "?token=", "?token=%00", "?token=a b", "?token=" + "A" * (LONGEST + 1)])
async def test_what_cannot_be_a_link_is_malformed(http: httpx.AsyncClient, query: str) -> None:
    for method in ("GET", "POST"):
        answer = await http.request(method, PATH + query)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?token")


async def test_an_old_address_has_no_say(http: httpx.AsyncClient, link: str, world: World) -> None:
    world.people["bo"] = Person("bo", email="bo@new.example", locale="de")
    assert (await http.post(link)).status_code == 200
    assert (await choices(http))["channels"]["email"] is True
    world.people["bo"] = Person("bo", email=BO.upper(), locale="de")
    await http.post(link)
    assert (await choices(http))["channels"]["email"] is False


@pytest.mark.parametrize("who", [None, Person("bo", email=None), Person("bo", email=BO, active=False)])
async def test_somebody_who_is_gone_is_left_in_peace(
    http: httpx.AsyncClient, link: str, world: World, who: Person | None
) -> None:
    del world.people["bo"]
    if who is not None:
        world.people["bo"] = who
    assert (await http.post(link)).status_code == 200
    assert (await choices(http))["channels"]["email"] is True


async def test_links_outlive_restarts_and_are_the_same_on_every_instance(database: Database, link: str) -> None:
    others = [Links(database=database, public_url=PUBLIC_URL) for _ in range(5)]
    assert set(await asyncio.gather(*(other.link("bo", BO) for other in others))) == {PUBLIC_URL + link}


async def test_instances_that_race_for_the_first_secret_get_the_same(database: Database) -> None:
    instances = [Links(database=database, public_url=PUBLIC_URL) for _ in range(8)]
    assert len(set(await asyncio.gather(*(instance.secret() for instance in instances)))) == 1


async def test_no_link_is_logged(http: httpx.AsyncClient, link: str) -> None:
    logs = io.StringIO()
    logging.configure("debug", to=logs)
    await http.get(link)
    await http.post(link)
    await http.post(link[:-1])
    ours = [line for line in logs.getvalue().splitlines() if '"logger": "http' not in line]  # the client tells its own
    assert any("unsubscribed" in line for line in ours)
    for secret in (link.partition("token=")[2][:20], BO):
        assert not any(secret in line for line in ours)


@given(st.from_regex(r"\A[A-Za-z0-9._:@-]{1,64}\Z"), st.emails())
def test_a_token_says_what_was_signed_and_fits_a_line(user_id: str, address: str) -> None:
    given_out = token(SECRET, user_id, address)
    wish = read(SECRET, given_out)
    assert wish is not None
    assert wish.user_id == user_id
    assert re.fullmatch(r"[A-Za-z0-9_-]+", given_out)
    assert len(given_out) <= 128
    assert read(b"t" * 32, given_out) is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_bit_of_a_token_can_be_changed(place: int, change: int) -> None:
    signed = bytearray(base64.urlsafe_b64decode(token(SECRET, "bo", BO) + "=="))
    signed[place % len(signed)] ^= change
    assert read(SECRET, base64.urlsafe_b64encode(bytes(signed)).decode().rstrip("=")) is None


@given(st.text(max_size=200))
def test_anything_else_is_no_token(text: str) -> None:
    assert read(SECRET, text) is None


class Postbox:
    """A transport that takes everything."""

    name = "email"

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, message: Any) -> Accepted:
        """Keep it."""
        self.sent.append(message.user_id)
        return Accepted(str(message.delivery_id))

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
async def posting(
    database: Database, settings: Settings, world: World, clock: Clock
) -> AsyncIterator[tuple[House, Postbox]]:
    """A house that has e-mail only."""
    postbox = Postbox()
    transports: dict[str, Transport] = {"email": postbox}
    house = House(database, msgspec.structs.replace(settings, public_url=PUBLIC_URL), world, clock, transports)
    yield house, postbox
    await house.module.stop()


async def test_an_alert_that_is_open_is_decided_anew(
    posting: tuple[House, Postbox], world: World, clock: Clock, links: Links
) -> None:
    house, postbox = posting
    channel = uuid4()
    world.join(channel, Person("ana"), Person("bo", email=BO), Person("cy", email="cy@people.example"))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    given_out = (await links.link("bo", BO)).partition("token=")[2]
    assert await house.module.unsubscribing.end(given_out) is not None
    clock.forward(minutes=31)
    await house.decide()
    ledger = {row.user_id: (row.state, row.reason) for row in await house.send()}
    assert postbox.sent == ["cy"]
    assert ledger["bo"] == ("suppressed", "preferences")

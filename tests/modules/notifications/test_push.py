"""From a message to a browser: pushed, read meanwhile, gone, followed by an SMS; and never to where it mustn't go."""

import io
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest

from kernel.clock import now
from kernel.database import Database
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from kernel.settings import Settings
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.outcomes import Accepted, Fault, Refused
from modules.notifications.module import transports_of
from modules.notifications.push.store import Browser as Told
from modules.notifications.push.wiring import Push
from modules.notifications.transports.web_push import WebPush
from tests.kernel.egress.conftest import INSIDE, OUTSIDE, Names, listening
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.pushing import KEY, SUBJECT, outgoing, subscription
from tests.modules.notifications.world import Person, World
from tests.support.push_server import Browser, PushServer, answer, push_server
from tests.support.tls import Authority
from tests.support.twilio_server import TwilioServer


@pytest.fixture
async def service() -> AsyncIterator[PushServer]:
    async with push_server() as running:
        yield running


@pytest.fixture
async def pushing(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer, service: PushServer
) -> AsyncIterator[House]:
    """A house that pushes to that service, and sends SMS."""
    chosen = msgspec.structs.replace(settings, **twilio.settings(), push_allowed_hosts=(service.url,))
    ways = transports_of(chosen, io.StringIO(), Push(chosen, database, clock), None)
    house = House(database, chosen, world, clock, {name: ways[name] for name in ("push", "sms")})
    yield house
    await house.module.stop()


@pytest.fixture
async def channel(pushing: House, world: World, clock: Clock) -> UUID:
    """A channel of Ana and Bo, in which Ana has just written."""
    channel = uuid4()
    world.join(channel, Person("ana", phone="+4915100000001"), Person("bo"))
    await pushing.publish(world.say(channel, "ana", occurred_at=clock.time))
    return channel


@pytest.fixture
async def browser(pushing: House, service: PushServer) -> Browser:
    """A browser of Bo's."""
    return await subscribed(pushing, service)


async def subscribed(house: House, service: PushServer) -> Browser:
    browser = service.subscribe()
    keys = browser.to_json()["keys"]
    told = Told(endpoint=browser.endpoint, p256dh=keys["p256dh"], auth=keys["auth"], expires_at=None)
    await house.module._push.registry.subscribe("bo", told)
    return browser


async def after(house: House, clock: Clock, seconds: float) -> dict[str, Delivery]:
    """Let time pass, and what is due by then be done; return the last delivery by each transport."""
    clock.forward(seconds=seconds)
    await house.decide()
    return {delivery.transport: delivery for delivery in await house.send()}


@pytest.mark.parametrize(("accepted", "sms"), [(False, "accepted"), (True, "suppressed reached_otherwise")])
async def test_an_acceptance_is_told_by_one_transport_an_invitation_until_it_is_answered(
    pushing: House,
    world: World,
    clock: Clock,
    service: PushServer,
    twilio: TwilioServer,
    settings: Settings,
    accepted: bool,
    sms: str,
) -> None:
    browser = await subscribed(pushing, service)
    ana, bo = Person("ana", phone="+4915100000001"), Person("bo")
    world.people |= {person.user_id: person for person in (ana, bo)}
    event = world.invite("bo", "ana", clock.time) if accepted else world.invite("ana", "bo", clock.time)
    invite_id = event.invite.id
    await pushing.publish(world.accept(invite_id, clock.time) if accepted else event)
    assert states(await after(pushing, clock, 21))["push"] == "accepted"
    [heard] = browser.heard
    said = ("Invitation accepted", "Ana accepted your invitation"), ("New invitation", "Ana invited you")
    assert heard.payload == {
        "title": said[not accepted][0],
        "body": said[not accepted][1],
        "link": f"{settings.public_url}/invites/{invite_id}",
        "tag": f"invites:{invite_id}",
        "channel_id": None,
        "invite_id": str(invite_id),
        "category": "invites",
    }
    assert states(await after(pushing, clock, 130))["sms"] == sms
    assert len(twilio.sent) == (0 if accepted else 1)


def states(ledger: dict[str, Delivery]) -> dict[str, str]:
    return {name: f"{one.state} {one.reason}" if one.reason else one.state for name, one in ledger.items()}


async def test_push_comes_first_and_an_sms_when_it_stays_unread(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, twilio: TwilioServer
) -> None:
    assert states(await after(pushing, clock, 21)) == {"push": "accepted"}
    [heard] = browser.heard
    assert (heard.payload["body"], heard.payload["channel_id"]) == ("You have a new message from Ana", str(channel))
    assert "secret" not in str(heard.payload)
    assert twilio.requests == []
    assert states(await after(pushing, clock, 120)) == {"push": "accepted", "sms": "accepted"}
    assert len(browser.heard) == len(twilio.sent) == 1


async def test_push_is_begun_only_for_who_has_a_browser_and_later_tells_of_all_that_is_unread(
    pushing: House, world: World, clock: Clock, channel: UUID, service: PushServer
) -> None:
    assert states(await after(pushing, clock, 130)) == {"sms": "accepted"}
    browser = await subscribed(pushing, service)
    await pushing.publish(world.say(channel, "ana", occurred_at=clock.time))
    ledger = await after(pushing, clock, 21)
    assert (ledger["push"].state, ledger["push"].from_seq, ledger["push"].to_seq) == ("accepted", 1, 2)
    [heard] = browser.heard
    assert heard.payload is not None
    assert heard.payload["body"] == "You have 2 new messages from Ana"


async def test_who_reads_what_was_pushed_gets_no_sms(
    pushing: House, world: World, clock: Clock, browser: Browser, channel: UUID, twilio: TwilioServer
) -> None:
    await after(pushing, clock, 21)
    world.read_to["bo", channel] = 1
    assert states(await after(pushing, clock, 120)) == {"push": "accepted", "sms": "suppressed read"}
    assert (len(browser.heard), twilio.requests) == (1, [])


async def test_a_browser_that_is_gone_is_forgotten_and_the_sms_goes(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer, twilio: TwilioServer
) -> None:
    service.unsubscribe(browser)
    assert states(await after(pushing, clock, 21)) == {"push": "failed no_subscription"}
    assert await pushing.module._push.registry.subscriptions("bo") == []
    assert states(await after(pushing, clock, 100))["sms"] == "accepted"
    assert service.requests == 1


async def test_of_several_browsers_only_those_that_are_gone_are_forgotten(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer
) -> None:
    gone = await subscribed(pushing, service)
    service.unsubscribe(gone)
    assert states(await after(pushing, clock, 21)) == {"push": "accepted"}
    kept = await pushing.module._push.registry.subscriptions("bo")
    assert [one.endpoint for one in kept] == [browser.endpoint]


async def test_a_service_that_is_busy_is_asked_again(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer
) -> None:
    service.script.append(answer(429, retry_after="1"))
    assert states(await after(pushing, clock, 21)) == {"push": "pending push_429"}
    assert states(await after(pushing, clock, 5)) == {"push": "accepted"}
    assert len(browser.heard) == 1


async def test_it_is_asked_again_no_sooner_than_it_said(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer
) -> None:
    service.script.append(answer(503, retry_after="25"))
    assert states(await after(pushing, clock, 21)) == {"push": "pending push_503"}
    assert states(await after(pushing, clock, 20)) == {"push": "pending push_503"}
    assert states(await after(pushing, clock, 6)) == {"push": "accepted"}
    assert service.requests == 2


async def test_a_service_that_stays_away_is_given_up_before_the_sms_is_due(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer, twilio: TwilioServer
) -> None:
    service.script.extend([answer(503, retry_after="600")] * 9)
    found = [states(await after(pushing, clock, seconds)) for seconds in (21, 31, 31, 31, 10)]
    assert [row["push"] for row in found[:4]] == ["pending push_503", *["pending push_held"] * 2, "dead push_held"]
    assert found[4]["sms"] == "accepted"
    assert (service.requests, len(twilio.sent)) == (1, 1)


async def test_an_unclear_answer_is_never_repeated(
    pushing: House, clock: Clock, browser: Browser, channel: UUID, service: PushServer
) -> None:
    service.script.append(answer(500))
    assert states(await after(pushing, clock, 21)) == {"push": "unknown http_500"}
    await after(pushing, clock, 60)
    assert service.requests == 1


async def test_a_push_endpoint_that_leads_inside_by_now_is_not_called(authority: Authority, names: Names) -> None:
    """Its host was listed and public when somebody subscribed; then its name leads to loopback."""
    kept = subscription(Browser("https://push.example/1", None))
    policy = Policy(["push.example"], admits=lambda address: address == OUTSIDE)
    push = WebPush(key=KEY, subject=SUBJECT, clock=now, egress=Egress(policy, resolver=names, tls=authority.client()))
    async with (
        listening(OUTSIDE, authority.server("push.example")) as outside,
        listening(INSIDE, authority.server("push.example")) as inside,
    ):
        names.answers["push.example"] = [[outside.address]]
        assert isinstance(await push.send(outgoing(kept)), Accepted)
        await push.close()
        names.answers["push.example"] = [[inside.address]]
        assert await push.send(outgoing(kept)) == Refused(Fault("other", "endpoint_not_allowed"))
        await push.close()
        assert (len(outside.requests), inside.connections) == (1, 0)
        connector = aiohttp.TCPConnector(resolver=names, use_dns_cache=False, ssl=authority.client())
        async with aiohttp.ClientSession(connector=connector) as careless:  # the broken variant gets there
            await careless.post(kept.endpoint)
        assert len(inside.requests) == 1


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def names() -> Names:
    return Names()

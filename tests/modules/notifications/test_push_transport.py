"""The push transport against a push service: what browsers decrypt, and what each answer comes to."""

import asyncio
import base64
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from kernel import vapid
from kernel.telemetry import logging
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.transports import Words
from modules.notifications.transports.web_push import WebPush
from modules.notifications.transports.web_push_message import MAX_PAYLOAD_BYTES, payload
from tests.modules.notifications.conftest import Clock
from tests.modules.notifications.pushing import CHANNEL, KEY, SUBJECT, WORDS, outgoing, pusher, subscription
from tests.support.push_server import Behaviour, PushServer, answer, carry_on, cut_off, hang, push_server


@pytest.fixture
async def service() -> AsyncIterator[PushServer]:
    async with push_server() as running:
        yield running


@pytest.fixture
async def push(service: PushServer) -> AsyncIterator[WebPush]:
    transport = pusher(service)
    yield transport
    await transport.close()


async def test_a_browser_reads_what_was_sent_and_who_sent_it(push: WebPush, service: PushServer) -> None:
    browser = service.subscribe(vapid.public(KEY))
    message = outgoing(subscription(browser))
    assert await push.send(message) == Accepted(f"push-{message.delivery_id}-1")
    assert service.faults == []
    [heard] = browser.heard
    assert heard.payload == {
        "title": "Parley",
        "body": "You have a new message from Ana",
        "link": "https://parley.example/channels/1",
        "tag": f"messages:{CHANNEL}",
        "channel_id": str(CHANNEL),
        "invite_id": None,
        "category": "messages",
    }
    digest = base64.urlsafe_b64encode(hashlib.sha256(f"messages:{CHANNEL}".encode()).digest()).decode()[:32]
    assert (heard.headers["TTL"], heard.headers["Topic"], heard.headers["Urgency"]) == ("900", digest, "high")
    assert (heard.claims["aud"], heard.claims["sub"]) == (service.url, SUBJECT)
    assert 0 < heard.claims["exp"] - time.time() <= 12 * 3600


async def test_nobody_else_can_read_it(push: WebPush, service: PushServer) -> None:
    """The broken variant of the check: a browser with other keys finds that it wasn't meant."""
    right, wrong = service.subscribe(), service.subscribe()
    forged = msgspec.structs.replace(subscription(right), endpoint=wrong.endpoint)
    assert await push.send(outgoing(forged)) == Refused(Fault("other", "push_401"))
    assert right.heard == wrong.heard == []
    assert len(service.faults) == 1


async def test_each_service_gets_a_token_of_its_own(service: PushServer) -> None:
    async with push_server() as other:
        transport = pusher(service, other)
        browsers = [service.subscribe(), other.subscribe(), service.subscribe()]
        assert isinstance(await transport.send(outgoing(*map(subscription, browsers))), Accepted)
        await transport.close()
        assert [browser.heard[0].claims["aud"] for browser in browsers] == [service.url, other.url, service.url]
        assert service.faults == other.faults == []


async def test_topics_part_channels_and_nothing_else(push: WebPush, service: PushServer) -> None:
    browser = service.subscribe()
    for channel in (CHANNEL, CHANNEL, None):
        await push.send(outgoing(subscription(browser), thread_id=channel))
    topics = [heard.headers["Topic"] for heard in browser.heard]
    assert topics[0] == topics[1] != topics[2]
    assert str(CHANNEL) not in str(topics)


@pytest.mark.parametrize(
    "words",
    [
        Words("t" * 9000, "x" * 9000, "https://parley.example/channels/1", "en"),
        Words("Parley", "\N{GRINNING FACE}" * 5000, "https://parley.example/channels/1", "en"),
        Words("Parley", '"\\\n' * 5000, "https://parley.example/channels/1", "en"),
        Words("Parley", "شركة" * 3000, "https://parley.example/" + "a" * 2000, "ar"),
    ],
)
async def test_words_are_cut_to_what_push_services_take(push: WebPush, service: PushServer, words: Words) -> None:
    browser = service.subscribe()
    message = outgoing(subscription(browser), words=words)
    assert len(payload(message)) <= MAX_PAYLOAD_BYTES
    assert isinstance(await push.send(message), Accepted)
    told = browser.heard[0].payload
    assert told["link"] == words.link
    assert told["body"].endswith("…")
    assert words.text.startswith(told["body"][:-1])
    assert len(json.dumps(told, ensure_ascii=False).encode()) > MAX_PAYLOAD_BYTES * 0.8


def test_words_that_fit_stay_whole() -> None:
    assert json.loads(payload(outgoing()))["body"] == WORDS.text


OTHER_KEY = "The VAPID credentials in the authorization header do not correspond to the credentials used"


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (answer(200), Accepted("")),
        (answer(202), Accepted("")),
        (answer(404), Refused(Fault("no_subscription", "no_subscription"))),
        (answer(410), Refused(Fault("no_subscription", "no_subscription"))),
        (answer(403, '{"reason":"VapidPkHashMismatch"}'), Refused(Fault("no_subscription", "no_subscription"))),
        (answer(401, '{"message": "VAPID public key mismatch"}'), Refused(Fault("no_subscription", "no_subscription"))),
        (answer(403, OTHER_KEY), Refused(Fault("no_subscription", "no_subscription"))),
        (answer(403, '{"reason":"BadJwtToken"}'), Refused(Fault("other", "push_403"))),
        (answer(401), Refused(Fault("other", "push_401"))),
        (answer(400), Refused(Fault("other", "push_400"))),
        (answer(413), Refused(Fault("other", "push_413"))),
        (answer(301, location="https://elsewhere.example/"), Refused(Fault("other", "push_301"))),
        (answer(307, location="http://127.0.0.1:1/"), Refused(Fault("other", "push_307"))),
        (answer(429), Refused(Fault("later", "push_429"))),
        (answer(429, retry_after="7"), Refused(Fault("later", "push_429", 7.0))),
        (answer(503, retry_after="Wed, 03 Jun 2026 12:01:00 GMT"), Refused(Fault("later", "push_503", 60.0))),
        (answer(503, retry_after="soon"), Refused(Fault("later", "push_503"))),
        (answer(500), Ambiguous("http_500", blames_provider=False)),
        (answer(502), Ambiguous("http_502", blames_provider=False)),
        (hang, Ambiguous("timeout", blames_provider=False)),
        (cut_off, Ambiguous("connection_lost", blames_provider=False)),
    ],
)
async def test_each_answer_is_understood_and_never_repeated(
    service: PushServer, clock: Clock, behaviour: Behaviour, expected: Outcome
) -> None:
    one = subscription(service.subscribe())
    service.script.append(behaviour)
    push = pusher(service, clock=clock, timeout_s=0.5 if behaviour is hang else 5)
    outcome = await push.send(outgoing(one))
    await push.close()
    assert service.requests == 1
    if isinstance(expected, Accepted):
        assert isinstance(outcome, Accepted)
    elif isinstance(expected, Refused):
        assert isinstance(outcome, Refused)
        assert (outcome.fault.kind, outcome.fault.reason) == (expected.fault.kind, expected.fault.reason)
        assert outcome.fault.retry_after_s == pytest.approx(expected.fault.retry_after_s, abs=0.1)
        assert outcome.gone == ((one.id,) if expected.fault.kind == "no_subscription" else ())
    else:
        assert outcome == expected


async def test_no_connection_means_certainly_not_sent(push: WebPush, service: PushServer) -> None:
    browser = service.subscribe()
    await service.stop()
    assert await push.send(outgoing(subscription(browser))) == Refused(Fault("later", "no_connection"))


async def test_what_was_subscribed_to_another_key_is_gone(push: WebPush, service: PushServer) -> None:
    one = subscription(service.subscribe(vapid.public(vapid.new())))
    assert await push.send(outgoing(one)) == Refused(Fault("no_subscription", "no_subscription"), gone=(one.id,))


async def test_it_counts_as_accepted_when_any_browser_gets_it(push: WebPush, service: PushServer) -> None:
    browsers = [service.subscribe() for _ in range(20)]
    kept = [subscription(browser) for browser in browsers]
    service.unsubscribe(browsers[0])
    service.unsubscribe(browsers[7])
    service.script.extend([carry_on] * 3 + [answer(400), answer(500)])
    message = outgoing(*kept)
    assert await push.send(message) == Accepted(f"push-{message.delivery_id}-1", gone=(kept[0].id, kept[7].id))
    assert service.requests == 20
    assert sum(len(browser.heard) for browser in browsers) >= 16


@pytest.mark.parametrize(
    ("behaviours", "expected"),
    [
        ([answer(410), answer(500)], Ambiguous("http_500", blames_provider=False)),
        ([answer(410), answer(429, retry_after="9")], "push_429"),
        ([answer(410), answer(400)], "push_400"),
        ([answer(400), answer(429, retry_after="9")], "push_429"),
        ([answer(429), answer(500)], Ambiguous("http_500", blames_provider=False)),
        ([answer(410), answer(404)], "no_subscription"),
    ],
)
async def test_the_best_that_came_of_it_counts(
    push: WebPush, service: PushServer, behaviours: list[Behaviour], expected: Ambiguous | str
) -> None:
    service.script.extend(behaviours)
    outcome = await push.send(outgoing(subscription(service.subscribe()), subscription(service.subscribe())))
    if isinstance(expected, Ambiguous):
        assert outcome == expected
    else:
        assert isinstance(outcome, Refused)
        assert outcome.fault.reason == expected


async def test_a_browser_that_is_to_be_left_alone_is_and_the_others_are_not(service: PushServer, clock: Clock) -> None:
    """Services limit what a device may get: that must not silence all others at the same service."""
    push = pusher(service, clock=clock)
    held, free = subscription(service.subscribe()), subscription(service.subscribe())
    service.script.append(answer(429, retry_after="120"))
    for _ in range(5):
        outcome = await push.send(outgoing(held))
        assert isinstance(outcome, Refused)
        assert outcome.fault.kind == "later"
        assert outcome.fault.retry_after_s == pytest.approx(120, abs=0.1)
        assert isinstance(await push.send(outgoing(free)), Accepted)
    assert service.requests == 1 + 5
    clock.forward(seconds=121)
    assert isinstance(await push.send(outgoing(held)), Accepted)
    await push.close()


async def calls_in_an_hour(service: PushServer, clock: Clock, push: WebPush) -> int:
    """Let a service fail for an hour, in which somebody else is pushed to every five seconds."""
    before = service.requests
    for _ in range(720):
        await push.send(outgoing(subscription(service.subscribe())))
        clock.forward(seconds=5)
    return service.requests - before


async def test_a_service_that_fails_is_put_aside_and_the_others_are_not(service: PushServer, clock: Clock) -> None:
    async with push_server() as other:
        push = pusher(service, other, clock=clock)
        service.script.extend([answer(500)] * 1000)
        assert await calls_in_an_hour(service, clock, push) < 20
        held, free = subscription(service.subscribe()), subscription(other.subscribe())
        assert isinstance(await push.send(outgoing(held, free)), Accepted)
        service.script.clear()
        clock.forward(minutes=11)
        outcomes = [await push.send(outgoing(held)) for _ in range(3)]
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        await push.close()


async def test_many_failures_at_once_are_one_reason_to_wait(service: PushServer, clock: Clock) -> None:
    push = pusher(service, clock=clock)
    service.script.extend([answer(500)] * 20)
    await push.send(outgoing(*(subscription(service.subscribe()) for _ in range(20))))
    clock.forward(seconds=16)
    assert isinstance(await push.send(outgoing(subscription(service.subscribe()))), Accepted)
    await push.close()


async def test_one_message_probes_before_the_rest_follow(service: PushServer, clock: Clock) -> None:
    push = pusher(service, clock=clock)
    service.script.extend([answer(503, retry_after="30")] * 4)
    await push.send(outgoing(*(subscription(service.subscribe()) for _ in range(4))))
    assert service.requests == 4
    clock.forward(minutes=11)
    service.script.append(answer(503))
    rest = [subscription(service.subscribe()) for _ in range(10)]
    await asyncio.gather(*(push.send(outgoing(one)) for one in rest))
    assert service.requests == 5
    await push.close()


async def test_the_check_finds_a_transport_that_hammers(
    service: PushServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody is put aside."""
    monkeypatch.setattr("modules.notifications.transports.web_push_patience.TROUBLE", 10_000)
    push = pusher(service, clock=clock)
    service.script.extend([answer(500)] * 1000)
    assert await calls_in_an_hour(service, clock, push) == 720
    await push.close()


async def test_to_nobody_means_no_subscription(push: WebPush) -> None:
    assert await push.send(outgoing()) == Refused(Fault("no_subscription", "no_subscription"))


async def test_an_endpoint_that_is_no_longer_allowed_is_not_called(service: PushServer) -> None:
    async with push_server() as forbidden:
        push = pusher(service)
        outcome = await push.send(outgoing(subscription(forbidden.subscribe())))
        await push.close()
        assert outcome == Refused(Fault("other", "endpoint_not_allowed"))
        assert forbidden.requests == 0


async def test_logs_name_subscriptions_by_id_only(push: WebPush, service: PushServer) -> None:
    logs = io.StringIO()
    logging.configure("debug", to=logs)
    one = subscription(service.subscribe())
    service.script.extend([answer(410), answer(403, "secret-of-the-service"), cut_off])
    for _ in range(4):
        await push.send(outgoing(one))
    assert str(one.id) in logs.getvalue()
    for secret in (one.endpoint, one.endpoint[-20:], one.p256dh, one.auth, "Ana", "secret-of-the-service"):
        assert secret not in logs.getvalue()

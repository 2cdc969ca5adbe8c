"""What every transport promises, over all its adapters; then what is Twilio's own."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from twilio.http.async_http_client import AsyncTwilioHttpClient

from kernel.smtp_url import smtp_server as server_of
from kernel.telemetry import logging
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.transports import Outgoing, Subscription, Target, Transport, Words
from modules.notifications.transports.console import ConsoleSms
from modules.notifications.transports.email.smtp import SmtpEmail
from modules.notifications.transports.twilio import TwilioSms
from modules.notifications.wording.texts import Texts, our_entries
from tests.modules.notifications.pushing import pusher, subscription
from tests.support.push_server import PushServer, push_server
from tests.support.smtp_server import SmtpServer, smtp_server
from tests.support.twilio_server import (
    ACCOUNT,
    SENDER,
    TOKEN,
    Behaviour,
    TwilioServer,
    answer_and_die,
    answer_nonsense,
    break_down,
    cut_off,
    hang,
    refuse,
    twilio_server,
)

PHONE = "+4915112345678"
ADDRESS = "bo@people.example"
WORDS = Words("Parley", "You have a new message from Ana", "https://parley.example/channels/1", "en")
TEXT = f"{WORDS.text}\n{WORDS.link}"


BROWSERS: list[Subscription] = []
"""Those of the person, where the adapter pushes."""


def outgoing(attempt: int = 1) -> Outgoing:
    return Outgoing(
        delivery_id=uuid4(),
        attempt=attempt,
        user_id="bo",
        thread_id=uuid4(),
        category="messages",
        to=Target(phone=PHONE, email=ADDRESS, subscriptions=tuple(BROWSERS)),
        words=WORDS,
        validity_s=900,
    )


def over(server: TwilioServer, **changes: Any) -> TwilioSms:
    defaults: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "public_url": "https://parley.example/",
        "sender": SENDER,
        "api_url": server.url,
        "timeout_s": 0.3,
    }
    return TwilioSms(**(defaults | changes))


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with twilio_server() as server:
        yield server


@pytest.fixture
async def service() -> AsyncIterator[PushServer]:
    async with push_server() as server:
        yield server


@pytest.fixture
async def post() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as server:
        yield server


async def unsubscribe_link(user_id: str, _address: str) -> str:
    return f"https://parley.example/off?{user_id}"


def mailer(post: SmtpServer) -> SmtpEmail:
    server = server_of(f"smtp://127.0.0.1:{post.port}?from=no-reply@parley.example")
    return SmtpEmail(server, texts=Texts(our_entries()), unsubscribe_link=unsubscribe_link, known_as="parley.example")


@pytest.fixture(params=["console", "twilio", "push", "email"])
async def transport(
    request: pytest.FixtureRequest, twilio: TwilioServer, service: PushServer, post: SmtpServer
) -> AsyncIterator[Transport]:
    made: dict[str, Callable[[], Transport]] = {
        "console": lambda: ConsoleSms(io.StringIO()),
        "twilio": lambda: over(twilio),
        "push": lambda: pusher(service),
        "email": lambda: mailer(post),
    }
    adapter = made[request.param]()
    BROWSERS[:] = [subscription(service.subscribe())] if request.param == "push" else []
    yield adapter
    await adapter.close()


async def test_an_accepted_message_has_an_id_of_its_own(transport: Transport) -> None:
    outcomes = [await transport.send(outgoing(attempt)) for attempt in (1, 2)]
    ids = {outcome.provider_id for outcome in outcomes if isinstance(outcome, Accepted)}
    assert len(ids) == 2
    assert all(ids)


async def test_messages_may_be_sent_side_by_side(transport: Transport) -> None:
    outcomes = await asyncio.gather(*(transport.send(outgoing()) for _ in range(20)))
    assert len({o.provider_id for o in outcomes if isinstance(o, Accepted)}) == 20


async def test_closing_twice_and_sending_again_is_fine(transport: Transport) -> None:
    await transport.close()
    await transport.close()
    assert isinstance(await transport.send(outgoing()), Accepted)


async def test_neither_addresses_nor_text_are_logged(transport: Transport) -> None:
    logs = io.StringIO()
    logging.configure("debug", to=logs)
    await transport.send(outgoing())
    for secret in (PHONE, ADDRESS, "Ana", WORDS.link):
        assert secret not in logs.getvalue()
    assert not any(browser.endpoint in logs.getvalue() for browser in BROWSERS)


async def test_the_console_marks_what_it_prints_and_hides_the_number() -> None:
    printed = io.StringIO()
    await ConsoleSms(printed).send(outgoing())
    assert "development" in printed.getvalue()
    assert "Ana" in printed.getvalue()
    assert PHONE not in printed.getvalue()
    assert PHONE[4:-2] not in printed.getvalue()


async def test_twilio_is_told_all_it_needs(twilio: TwilioServer) -> None:
    message = outgoing(attempt=3)
    adapter = over(twilio)
    await adapter.send(message)
    await adapter.close()
    [sms] = twilio.sent
    assert (sms.to, sms.body, sms.form["From"], sms.form["ValidityPeriod"]) == (PHONE, TEXT, SENDER, "900")
    assert sms.callback == (f"https://parley.example/webhooks/twilio/status?delivery={message.delivery_id}&attempt=3")


async def test_a_messaging_service_goes_before_a_sender(twilio: TwilioServer) -> None:
    adapter = over(twilio, messaging_service="MG" + "1" * 32)
    await adapter.send(outgoing())
    await adapter.close()
    assert "From" not in twilio.sent[0].form
    assert twilio.sent[0].form["MessagingServiceSid"].startswith("MG")


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (refuse(429, 20429), Refused(Fault("busy", "twilio_20429"))),
        (refuse(400, 21611), Refused(Fault("busy", "twilio_21611"))),
        (refuse(400, 21211), Refused(Fault("invalid_address", "twilio_21211"))),
        (refuse(400, 21614), Refused(Fault("invalid_address", "twilio_21614"))),
        (refuse(400, 21610), Refused(Fault("opted_out", "twilio_21610"))),
        (refuse(401, 20003), Refused(Fault("configuration", "twilio_20003"))),
        (refuse(400, 21606), Refused(Fault("configuration", "twilio_21606"))),
        (refuse(400, 21617), Refused(Fault("other", "twilio_21617"))),
        (break_down(taken=True), Ambiguous("http_500")),
        (break_down(taken=False, status=503), Ambiguous("http_503")),
        (break_down(taken=False, status=302), Ambiguous("http_302")),
        (hang(taken=True), Ambiguous("timeout")),
        (cut_off(taken=True), Ambiguous("connection_lost")),
        (cut_off(taken=False, midway=False), Ambiguous("connection_lost")),
        (answer_nonsense("not json"), Ambiguous("unexpected_answer")),
        (answer_nonsense("{}"), Ambiguous("answer_without_sid")),
        (answer_nonsense("[]"), Ambiguous("unexpected_answer")),
    ],
)
async def test_each_failure_is_understood_and_never_repeated(
    twilio: TwilioServer, behaviour: Behaviour, expected: Outcome
) -> None:
    twilio.script.append(behaviour)
    adapter = over(twilio)
    started = time.monotonic()
    assert await adapter.send(outgoing()) == expected
    await adapter.close()
    assert len(twilio.requests) == 1
    assert time.monotonic() - started < 2


async def test_wrong_credentials_are_a_fault_of_configuration(twilio: TwilioServer) -> None:
    adapter = over(twilio, auth_token="another")
    assert await adapter.send(outgoing()) == Refused(Fault("configuration", "twilio_20003"))
    await adapter.close()


async def test_no_connection_means_certainly_not_sent(twilio: TwilioServer) -> None:
    await twilio.stop()
    adapter = over(twilio)
    assert await adapter.send(outgoing()) == Refused(Fault("busy", "no_connection"))
    await adapter.close()


async def test_a_provider_that_answers_and_dies_has_accepted(twilio: TwilioServer) -> None:
    twilio.script.append(answer_and_die)
    adapter = over(twilio)
    assert isinstance(await adapter.send(outgoing()), Accepted)
    assert await adapter.send(outgoing()) == Refused(Fault("busy", "no_connection"))
    await adapter.close()


async def test_a_dead_kept_connection_is_ambiguous_or_surely_unsent(twilio: TwilioServer) -> None:
    """A reused connection that the provider closes meanwhile must not be mistaken for a refusal after a send."""
    adapter = over(twilio)
    await adapter.send(outgoing())
    twilio.script.append(cut_off(taken=True, midway=False))
    assert await adapter.send(outgoing()) == Ambiguous("connection_lost")
    await adapter.close()
    assert len(twilio.requests) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_suite_catches_an_adapter_that_repeats_by_itself(twilio: TwilioServer) -> None:
    """The broken variant: the package's own retries."""
    adapter = over(twilio, timeout_s=5)
    client = adapter._connected()
    await client.http_client.close()
    client.http_client = AsyncTwilioHttpClient(max_retries=3)
    twilio.script.extend([break_down(taken=True)] * 3)
    await adapter.send(outgoing())
    await adapter.close()
    assert len(twilio.requests) == 3

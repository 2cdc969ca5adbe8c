"""Requests to Twilio against what its public API documents, and the test server against the same."""

import inspect
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from twilio.rest.api.v2010.account.message import MessageList

from modules.notifications.domain.outcomes import Accepted, Fault, Refused
from modules.notifications.transports import Outgoing, Words
from modules.notifications.transports.twilio import TwilioSms
from tests.contracts.test_transports import outgoing, over
from tests.support import twilio_api
from tests.support.twilio_server import ACCOUNT, TOKEN, TwilioServer, refuse, twilio_server

GOOD = {"To": "+4915112345678", "From": "+15005550006", "Body": "Hello"}


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with twilio_server() as server:
        yield server


@pytest.fixture
async def sms(twilio: TwilioServer) -> AsyncIterator[TwilioSms]:
    adapter = over(twilio)
    yield adapter
    await adapter.close()


def test_the_list_of_parameters_is_that_of_twilios_own_package() -> None:
    theirs = set(inspect.signature(MessageList.create_async).parameters) - {"self"}
    ours = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in twilio_api.PARAMETERS}
    assert ours == {name.rstrip("_") for name in theirs}


async def post(twilio: TwilioServer, form: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Post as anybody could, without the package."""
    url = f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=form, headers={"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21211),
        ({"To": "0151 1234567"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"From": "no sender!"}, 21212),
        ({"Body": "x" * 1601}, 21617),
        ({"Body": "  "}, 21602),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "36001"}, 21624),
        ({"ValidityPeriod": "1.5"}, 21624),
        ({"ValidityPeriod": "-5"}, 21624),
        ({"StatusCallback": "ftp://parley.example/"}, 21609),
        ({"StatusCallback": "parley.example/x"}, 21609),
        ({"StatusCallback": "https://par_ley.example/"}, 21609),
        ({"StatusCallback": "https://parley.example/ x"}, 21609),
        ({"StatusCallback": "https://parley.example/" + "x" * 4000}, 21609),
        ({"MessagingServiceSid": "MG1"}, 21701),
        ({"RiskCheck": "maybe"}, 20001),
        ({"Priority": "high"}, 20001),
        ({"body": "in small letters"}, 20001),
        ({"ShortenUrls": "true"}, 20001),
    ],
)
async def test_the_server_refuses_what_isnt_documented(twilio: TwilioServer, change: dict[str, str], code: int) -> None:
    status, body = await post(twilio, GOOD | change)
    assert (status, body["code"]) == (400, code)
    assert set(body) == {"code", "message", "more_info", "status"}
    assert not twilio.sent


@pytest.mark.parametrize(("missing", "code"), [("To", 21604), ("From", 21603), ("Body", 21602)])
async def test_the_server_misses_what_is_needed(twilio: TwilioServer, missing: str, code: int) -> None:
    status, body = await post(twilio, {name: value for name, value in GOOD.items() if name != missing})
    assert (status, body["code"]) == (400, code)


async def test_the_server_takes_what_is_documented(twilio: TwilioServer) -> None:
    more = {"ValidityPeriod": "36000", "SmartEncoded": "true", "RiskCheck": "disable", "MessageIntent": "notifications"}
    assert (await post(twilio, GOOD | more))[0] == 201
    service = {"To": GOOD["To"], "Body": "x" * 1600, "MessagingServiceSid": "MG" + "a" * 32, "ShortenUrls": "true"}
    assert (await post(twilio, service))[0] == 201
    assert len(twilio.sent) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sender": None, "messaging_service": "MG" + "1" * 32},
        {"sender": "PARLEY"},
        {"sender": "12345"},
        {"public_url": "https://parley.example/behind/a/proxy/"},
    ],
)
@pytest.mark.parametrize("validity_s", [1, 900, 1800])
@pytest.mark.parametrize("text", ["Hello", "Ünïcode 🙂 " * 20, "x" * 1500])
async def test_what_we_send_is_documented(
    twilio: TwilioServer, changes: dict[str, object], validity_s: int, text: str
) -> None:
    adapter = over(twilio, **changes)
    outcome = await adapter.send(message(text, validity_s))
    await adapter.close()
    assert isinstance(outcome, Accepted)
    assert twilio.malformed == []
    [sms] = twilio.sent
    sender = "MessagingServiceSid" if "messaging_service" in changes else "From"
    assert set(sms.form) == {"To", "Body", "StatusCallback", "ValidityPeriod", sender}


async def test_what_isnt_would_show(twilio: TwilioServer, sms: TwilioSms) -> None:
    """The broken variant: a validity that Twilio doesn't know."""
    assert await sms.send(message("Hello", 36_001)) == Refused(Fault("other", "twilio_21624"))
    assert [wrong.code for wrong in twilio.malformed] == [21624]


@pytest.mark.parametrize(
    ("retry_after", "expected"), [("30", 30.0), ("0", 0.0), (None, None), ("soon", None), ("1e9", None), ("-1", None)]
)
async def test_when_to_come_back_is_read(
    twilio: TwilioServer, sms: TwilioSms, retry_after: str | None, expected: float | None
) -> None:
    twilio.script.append(refuse(429, 20429, retry_after=retry_after))
    assert await sms.send(outgoing()) == Refused(Fault("busy", "twilio_20429", expected))
    twilio.script.append(refuse(429, 20429))
    assert await sms.send(outgoing()) == Refused(Fault("busy", "twilio_20429")), "of this answer, not of the last one"


def message(text: str, validity_s: int) -> Outgoing:
    """Return an SMS that says `text`."""
    words = Words("Parley", text, "https://parley.example/channels/1", "en")
    return msgspec.structs.replace(outgoing(), words=words, validity_s=validity_s)

"""Twilio's webhooks: signatures, order, repeats, codes, and the words that people answer with."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.modules.notifications.conftest import PUBLIC_URL, Clock, House
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import ACCOUNT, SENDER, Sms, TwilioServer, signature

pytestmark = pytest.mark.usefixtures("at")
INBOUND = f"{PUBLIC_URL}/webhooks/twilio/inbound"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
BO = "+4915112345678"


@pytest.fixture
async def sms(house: House, world: World, clock: Clock, twilio: TwilioServer) -> Sms:
    """An SMS to Bo that Twilio accepted."""
    channel = uuid4()
    world.join(channel, Person("ana", phone=None), Person("bo", phone=BO))
    await write(house, world, clock)
    return twilio.sent[0]


async def write(house: House, world: World, clock: Clock) -> str:
    """Let Ana write to Bo; returns what comes of it."""
    channel = next(iter(world.members))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    await house.decide()
    last = (await house.send())[-1]
    return f"{last.state} {last.reason}" if last.reason else last.state


async def state(house: House) -> str:
    """The state of the last delivery."""
    return (await house.ledger())[-1].state


async def test_a_status_is_applied_once_and_only_forward(house: House, sms: Sms, twilio: TwilioServer) -> None:
    for status, expected in (
        ("sent", "accepted"),
        ("delivered", "delivered"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("undelivered", "delivered"),
        ("failed", "delivered"),
    ):
        assert await twilio.report(sms, status) == 204
        assert await state(house) == expected


async def test_a_late_undelivered_may_still_turn_out_delivered(house: House, sms: Sms, twilio: TwilioServer) -> None:
    await twilio.report(sms, "undelivered", code=30003)
    assert (await house.ledger())[0].reason == "twilio_30003"
    await twilio.report(sms, "delivered")
    assert [(d.state, d.reason) for d in await house.ledger()] == [("delivered", None)]


async def test_a_report_may_overtake_our_own_commit(
    house: House, twilio: TwilioServer, world: World, clock: Clock
) -> None:
    """Twilio can be faster with its report than we with recording its answer."""
    channel = uuid4()
    world.join(channel, Person("ana"), Person("bo"))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    await house.decide()
    worker = house.module.delivery_worker
    [claimed] = await worker.claim(1)
    begun = await worker.begin(claimed)
    assert begun is not None
    outcome = await worker._transports["sms"].send(begun.message)
    await twilio.report(twilio.sent[0], "delivered")
    await worker.settle(begun, outcome)
    [delivery] = await house.ledger()
    assert (delivery.state, delivery.provider_id) == ("delivered", twilio.sent[0].sid)


FORM = {"MessageStatus": "delivered", "To": BO}


@pytest.mark.parametrize("path", ["/webhooks/twilio/status", "/webhooks/twilio/inbound"])
@pytest.mark.parametrize(
    "signed",
    [None, "", "nonsense", "ü", signature("https://other.example/", FORM), signature("", FORM, token="x")],
)
async def test_what_twilio_didnt_sign_is_refused(http: httpx.AsyncClient, path: str, signed: str | None) -> None:
    headers: dict[str, Any] = {} if signed is None else {"X-Twilio-Signature": signed.encode("utf-8")}
    response = await http.post(path, data=FORM, headers=headers)
    assert (response.status_code, response.json()["type"]) == (403, "/problems/bad-signature")


@pytest.mark.parametrize("change", [{"MessageStatus": "failed"}, {"Extra": "1"}, {"MessageSid": "SM" + "1" * 32}])
async def test_a_changed_field_breaks_the_signature(
    house: House, sms: Sms, http: httpx.AsyncClient, change: dict[str, str]
) -> None:
    form = FORM | {"MessageSid": sms.sid or ""}
    headers = {"X-Twilio-Signature": signature(sms.callback, form)}
    path = sms.callback.removeprefix(PUBLIC_URL)
    assert (await http.post(path, data=form | change, headers=headers)).status_code == 403
    assert (await http.post(path + "&attempt=2", data=form, headers=headers)).status_code == 403
    assert await state(house) == "accepted"
    assert (await http.post(path, data=form, headers=headers)).status_code == 204
    assert await state(house) == "delivered"


@pytest.mark.parametrize("path", ["status?delivery={delivery}&attempt=1", "inbound"])
@pytest.mark.parametrize("account", ["AC" + "1" * 32, "", ACCOUNT.lower()])
async def test_what_is_signed_but_about_another_account_is_refused(
    house: House, sms: Sms, twilio: TwilioServer, path: str, account: str
) -> None:
    url = f"{PUBLIC_URL}/webhooks/twilio/{path.replace('{delivery}', str(sms.delivery_id))}"
    form = {"MessageStatus": "delivered", "MessageSid": sms.sid or "", "From": BO, "To": BO, "Body": "STOP"}
    assert (await twilio.post(url, form | {"AccountSid": account}))[0] == 403
    assert await state(house) == "accepted"
    assert (await twilio.post(url, form | {"AccountSid": ACCOUNT}))[0] in {200, 204}


async def test_a_signature_fits_one_url_only(house: House, sms: Sms, http: httpx.AsyncClient) -> None:
    """Signed for the answers' URL, another host, another scheme, another delivery: none opens this one."""
    form = FORM | {"MessageSid": sms.sid or ""}
    path = sms.callback.removeprefix(PUBLIC_URL)
    others = (
        INBOUND,
        sms.callback.replace("parley.example", "evil.example"),
        sms.callback.replace("https://", "http://"),
        sms.callback.replace(str(sms.delivery_id), str(uuid4())),
        sms.callback + "&attempt=2",
        "",
    )
    for other in others:
        headers = {"X-Twilio-Signature": signature(other, form)}
        assert (await http.post(path, data=form, headers=headers)).status_code == 403, other
    assert await state(house) == "accepted"


async def test_a_replayed_report_changes_nothing(
    house: House, sms: Sms, http: httpx.AsyncClient, twilio: TwilioServer
) -> None:
    """Twilio's signature holds no time: whoever caught one may send it for ever."""
    form = FORM | {"MessageSid": sms.sid or "", "MessageStatus": "sent"}
    headers = {"X-Twilio-Signature": signature(sms.callback, form)}
    path = sms.callback.removeprefix(PUBLIC_URL)
    await twilio.report(sms, "delivered")
    before = await house.ledger()
    for _ in range(3):
        assert (await http.post(path, data=form, headers=headers)).status_code == 204
    assert await house.ledger() == before


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?delivery=nonsense&attempt=1",
        f"?delivery={UUID(int=7)}&attempt=1",
        "?delivery={delivery}",
        "?delivery={delivery}&attempt=0",
        "?delivery={delivery}&attempt=2",
        "?delivery={delivery}&attempt=-1",
        "?delivery={delivery}&attempt=99999999999999999999",
        "?delivery={delivery}&attempt=%D9%A1",
        "?delivery=%00&attempt=%FF",
    ],
)
async def test_signed_reports_that_arent_about_ours_change_nothing(
    house: House, sms: Sms, twilio: TwilioServer, query: str
) -> None:
    url = f"{PUBLIC_URL}/webhooks/twilio/status{query.replace('{delivery}', str(sms.delivery_id))}"
    assert (await twilio.post(url, FORM | {"MessageSid": sms.sid or ""}))[0] == 204
    assert await state(house) == "accepted"


@pytest.mark.parametrize(
    "change",
    [{"MessageStatus": "dancing"}, {"MessageSid": "x"}, {"MessageSid": "SM\x00"}, {"MessageStatus": ""}],
)
async def test_signed_nonsense_changes_nothing(
    house: House, sms: Sms, twilio: TwilioServer, change: dict[str, str]
) -> None:
    assert (await twilio.post(sms.callback, FORM | {"MessageSid": sms.sid or ""} | change))[0] == 204
    assert await state(house) == "accepted"


@pytest.mark.parametrize("code", ["x", "-1", "0", "99999999999", "٣٠٠٠٥"])
async def test_a_code_nobody_understands_is_left_aside(house: House, sms: Sms, twilio: TwilioServer, code: str) -> None:
    form = {"MessageStatus": "undelivered", "To": BO, "MessageSid": sms.sid or "", "ErrorCode": code}
    assert (await twilio.post(sms.callback, form))[0] == 204
    assert [(d.state, d.reason) for d in await house.ledger()] == [("undelivered", None)]


@pytest.mark.parametrize(
    ("code", "next_time"),
    [
        (30005, "suppressed invalid_address"),
        (30006, "suppressed invalid_address"),
        (21610, "suppressed opted_out"),
        (30007, "accepted"),
    ],
)
async def test_what_a_report_says_of_the_number_is_remembered(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer, code: int, next_time: str
) -> None:
    await twilio.report(sms, "undelivered", code=code)
    assert await write(house, world, clock) == next_time


async def test_a_sender_that_isnt_registered_holds_sms_back(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    await twilio.report(sms, "undelivered", code=30034)
    channel = next(iter(world.members))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    assert len(await house.decide()) == 1
    clock.forward(minutes=3)
    await house.decide()
    assert [d.state for d in await house.send()] == ["undelivered", "accepted"]


async def answer(twilio: TwilioServer, body: str, **fields: str) -> str:
    """Let Bo answer; returns our TwiML."""
    form = {"MessageSid": f"SM{uuid4().hex}", "From": BO, "To": SENDER, "Body": body} | fields
    status, text = await twilio.post(INBOUND, form)
    assert status == 200
    return text


async def test_stop_ends_all_sms_and_start_resumes(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    assert await answer(twilio, "Stop") == EMPTY, "Twilio confirms its own keywords"
    assert await write(house, world, clock) == "suppressed opted_out"
    assert await answer(twilio, "start") == EMPTY
    assert await write(house, world, clock) == "accepted"


async def test_other_wording_is_confirmed_once(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    assert "no more SMS" in await answer(twilio, "please stop texting me")
    assert await answer(twilio, "I said stop texting me!") == EMPTY
    assert await write(house, world, clock) == "suppressed opted_out"


@pytest.mark.parametrize(
    ("body", "start", "words"),
    [
        ("Bitte keine SMS mehr", "anmelden", "Sie bekommen keine SMS mehr"),
        ("No me envíen más mensajes", "alta", "Dejaremos de enviarte SMS"),
        ("Arrêt", "reprendre", "Vous ne recevrez plus de SMS"),
    ],
)
async def test_stop_and_start_in_their_own_language(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer, body: str, start: str, words: str
) -> None:
    assert words in await answer(twilio, body)
    assert await answer(twilio, body) == EMPTY
    assert await write(house, world, clock) == "suppressed opted_out"
    await answer(twilio, start)
    assert await write(house, world, clock) == "accepted"


@pytest.mark.parametrize(
    ("body", "words"), [("Hilfe", "Antworten Sie STOP"), ("ayuda", "Responde STOP"), ("aide", "STOP")]
)
async def test_help_in_their_own_language(sms: Sms, twilio: TwilioServer, body: str, words: str) -> None:
    assert words in await answer(twilio, body)


async def test_a_replayed_stop_doesnt_undo_a_later_start(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    once = {"MessageSid": "SM" + "7" * 32}
    await answer(twilio, "STOP", **once)
    await answer(twilio, "START")
    await answer(twilio, "STOP", **once)
    assert await write(house, world, clock) == "accepted"


async def test_help_is_answered_unless_twilio_did(sms: Sms, twilio: TwilioServer) -> None:
    assert "Reply STOP" in await answer(twilio, "help")
    assert await answer(twilio, "help", OptOutType="HELP") == EMPTY


async def test_what_twilio_took_for_a_stop_is_one(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    assert await answer(twilio, "ARRET", OptOutType="STOP") == EMPTY
    assert await write(house, world, clock) == "suppressed opted_out"


@pytest.mark.parametrize("body", ["ok", "", "see you at the bus stop", "\x00", "<&>", "🙂" * 500])
async def test_anything_else_changes_nothing(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer, body: str
) -> None:
    assert await answer(twilio, body) == EMPTY
    assert await write(house, world, clock) == "accepted"


@pytest.mark.parametrize("fields", [{"From": "+0"}, {"From": ""}, {"MessageSid": "SM1"}, {"From": "short code"}])
async def test_what_cant_be_an_sms_changes_nothing(sms: Sms, twilio: TwilioServer, fields: dict[str, str]) -> None:
    assert await answer(twilio, "STOP", **fields) == EMPTY


async def test_an_opt_out_is_the_numbers_whoever_has_it(
    house: House, sms: Sms, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    await answer(twilio, "STOP")
    world.people["bo"].phone = "+4915187654321"
    assert await write(house, world, clock) == "accepted"
    world.people["bo"].phone = BO
    assert await write(house, world, clock) == "suppressed opted_out"


async def test_no_number_is_stored_as_it_is(house: House, sms: Sms, twilio: TwilioServer) -> None:
    await answer(twilio, "STOP")
    await twilio.report(sms, "undelivered", code=30005)
    async with house.database.connection() as connection:
        for table in ("addresses", "answers", "deliveries", "alerts"):
            rows = await connection.fetch(f"SELECT row::text FROM notification_{table} AS row")
            assert rows
            assert not any(BO[1:] in row["row"] for row in rows)

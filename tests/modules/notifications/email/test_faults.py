"""Every way in which a server can refuse or fail, at every step: what is known not to be sent, and what is in doubt."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from kernel.settings import Settings, SettingsError
from kernel.smtp_url import smtp_server as server_of
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.module import check
from modules.notifications.transports.email.smtp import SmtpEmail, greeting
from tests.modules.notifications.email.conftest import OFF, outgoing, over, texts, unsubscribe_link
from tests.support.smtp_server import HANG, Hang, scripted, smtp_server

Answers = dict[str, str | Hang | None]

BUSY_NET = Refused(Fault("busy", "no_connection"))


def refused(kind: Any, reason: str) -> Outcome:
    """Return a refusal."""
    return Refused(Fault(kind, reason))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"greeting": None}, BUSY_NET),
        ({"greeting": "hello"}, BUSY_NET),
        ({"greeting": "421 4.3.2 later"}, refused("busy", "smtp_421_4.3.2")),
        ({"greeting": "554 no service here"}, refused("configuration", "smtp_554")),
        ({"EHLO": None}, BUSY_NET),
        ({"MAIL": "451 4.7.1 later"}, refused("busy", "smtp_451_4.7.1")),
        ({"MAIL": "553 5.7.1 not yours"}, refused("configuration", "smtp_553_5.7.1")),
        ({"MAIL": "530 5.7.0 log in first"}, refused("configuration", "smtp_530_5.7.0")),
        ({"MAIL": None}, BUSY_NET),
        ({"RCPT": None}, BUSY_NET),
        ({"RCPT": "450 4.2.0 greylisted"}, refused("later", "smtp_450_4.2.0")),
        ({"RCPT": "452 4.2.2 full"}, refused("later", "smtp_452_4.2.2")),
        ({"RCPT": "550 5.1.1 <bo@people.example>: no such user"}, refused("invalid_address", "smtp_550_5.1.1")),
        ({"RCPT": "550 no such user"}, refused("invalid_address", "smtp_550")),
        ({"RCPT": "550-no such\r\n550 user"}, refused("invalid_address", "smtp_550")),
        ({"RCPT": "556 5.1.10 takes no mail"}, refused("invalid_address", "smtp_556_5.1.10")),
        ({"RCPT": "550 5.1.1 <relay@sender.example> unknown"}, refused("invalid_address", "smtp_550_5.1.1")),
        ({"RCPT": "554 5.7.1 <bo@people.example>: Relay access denied"}, refused("configuration", "smtp_554_5.7.1")),
        ({"RCPT": "550 relaying not allowed"}, refused("configuration", "smtp_550")),
        ({"RCPT": "553 5.7.1 <a@b>: Sender address rejected"}, refused("configuration", "smtp_553_5.7.1")),
        ({"RCPT": "550 5.1.8 bad sender"}, refused("configuration", "smtp_550_5.1.8")),
        ({"RCPT": "550 5.7.1 policy"}, refused("other", "smtp_550_5.7.1")),
        ({"RCPT": "552 5.2.2 over quota"}, refused("other", "smtp_552_5.2.2")),
        ({"DATA": "451 4.3.0 later"}, refused("later", "smtp_451_4.3.0")),
        ({"DATA": "554 5.5.1 no valid recipients"}, refused("other", "smtp_554_5.5.1")),
        ({"text": "451 4.7.1 later"}, refused("later", "smtp_451_4.7.1")),
        ({"text": "554 5.7.1 looks like spam"}, refused("other", "smtp_554_5.7.1")),
        ({"text": "550 5.1.1 unknown after all"}, refused("invalid_address", "smtp_550_5.1.1")),
        ({"text": None}, Ambiguous("connection_lost")),
        ({"text": "so be it"}, Ambiguous("unexpected_answer")),
        ({"text": "250 " + "x" * 100_000}, Ambiguous("unexpected_answer")),
        ({"DATA": None}, Ambiguous("connection_lost")),
    ],
)
async def test_each_failure_is_understood_and_never_repeated(answers: Answers, expected: Outcome) -> None:
    async with scripted(**answers) as server:
        assert await over(server.port).send(outgoing()) == expected
        assert server.connections == 1
        assert server.heard.count("text") <= 1


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "text"])
async def test_a_server_that_says_nothing_is_not_waited_for(step: str) -> None:
    """Before the text was handed over nothing was sent."""
    answers: Answers = {step: HANG}
    async with scripted(**answers) as server:
        started = time.monotonic()
        outcome = await over(server.port, timeout_s=0.3).send(outgoing())
        assert time.monotonic() - started < 3
    in_doubt = step in {"DATA", "text"}
    assert outcome == (Ambiguous("timeout") if in_doubt else Refused(Fault("busy", "timeout")))


async def test_nobody_listens() -> None:
    async with scripted() as server:
        port = server.port
    assert await over(port).send(outgoing()) == BUSY_NET


async def test_no_such_host() -> None:
    server = server_of("smtp://nowhere.invalid?from=a@b.example")
    adapter = SmtpEmail(server, texts=texts, unsubscribe_link=unsubscribe_link, known_as="localhost", timeout_s=5)
    outcome = await adapter.send(outgoing())
    assert isinstance(outcome, Refused)
    assert outcome.fault.kind == "busy"


@pytest.mark.parametrize("quit_answer", [None, HANG, "500 what?"])
async def test_a_server_that_takes_the_mail_and_no_goodbye_has_taken_it(quit_answer: str | Hang | None) -> None:
    answers: Answers = {"QUIT": quit_answer}
    async with scripted(**answers) as server:
        assert isinstance(await over(server.port).send(outgoing()), Accepted)


@pytest.mark.parametrize(
    ("says", "provider_id"),
    [
        ("250 2.0.0 Ok: queued as 4XyZ123", "4XyZ123"),
        ("250 OK id=1tGxyz-0000Ab-1C", "1tGxyz-0000Ab-1C"),
        ("250 2.0.0 n0AB12cd Message accepted for delivery", None),
        ("250 queued as <bo@people.example>", None),
    ],
)
async def test_the_ledger_gets_the_servers_id_or_ours(says: str, provider_id: str | None) -> None:
    message = outgoing(attempt=3)
    async with scripted(text=says) as server:
        outcome = await over(server.port).send(message)
    assert outcome == Accepted(provider_id or f"{message.delivery_id}.3@shop.example")


async def test_a_link_that_cannot_be_made_keeps_the_mail_back() -> None:
    async def no_database(_user_id: str, _address: str) -> str:
        raise ConnectionResetError

    async with smtp_server() as server:
        adapter = SmtpEmail(
            server_of(f"smtp://127.0.0.1:{server.port}?from=a@b.example"),
            texts=texts,
            unsubscribe_link=no_database,
            known_as="localhost",
        )
        assert await adapter.send(outgoing()) == BUSY_NET
    assert server.mails == []


async def test_mails_are_sent_side_by_side() -> None:
    async with smtp_server() as server:
        adapter = over(server.port)
        outcomes = await asyncio.gather(*(adapter.send(outgoing()) for _ in range(8)))
    assert len({outcome.provider_id for outcome in outcomes if isinstance(outcome, Accepted)}) == 8
    assert len({mail.message["Message-ID"] for mail in server.mails}) == 8


async def test_a_step_that_is_cancelled_leaves_no_connection() -> None:
    async with scripted(RCPT=HANG) as server:
        task = asyncio.ensure_future(over(server.port).send(outgoing()))
        while not any(line.startswith("RCPT") for line in server.heard):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://parley.example/x", "parley.example"),
        ("http://127.0.0.1:8000", "[127.0.0.1]"),
        ("http://[::1]:8000", "[IPv6:::1]"),
        ("https://bücher.example", "localhost"),
    ],
)
def test_how_we_greet(url: str, name: str) -> None:
    assert greeting(url) == name


def test_the_link_of_these_tests_is_as_long_as_ours() -> None:
    assert len(OFF) > 150


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_used_are_noticed_at_start(tmp_path: Path, content: str | None) -> None:
    pem = tmp_path / "ca.pem"
    if content is not None:
        pem.write_text(content)
    with pytest.raises(SettingsError, match=r"PARLEY_SMTP_URL: ca=.*ca\.pem can't be used"):
        check(Settings(smtp_url=f"smtps://mail.example?from=a@b.example&ca={pem}"))

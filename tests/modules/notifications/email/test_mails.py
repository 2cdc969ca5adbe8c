"""What a mail looks like to whoever takes it: sent over a real line, and read with the standard library."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from kernel.smtp_url import smtp_server as server_of
from modules.notifications.domain.outcomes import Accepted, Fault, Refused
from modules.notifications.ports import InviteNews
from modules.notifications.transports.email.addresses import mailbox
from modules.notifications.transports.email.mail import compose, written
from modules.notifications.wording.words import Words
from tests.modules.notifications.email.conftest import ADDRESS, CHANNEL, LINK, OFF, outgoing, over, texts
from tests.support.smtp_server import PASSWORD, USER, Mail, certificate, smtp_server

NASTY = 'A\r\nBcc: e@evil.example\r\n\r\n<script>alert(1)</script> & "co"'
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


async def sent(**fields: Any) -> Mail:
    """Send an alert and return the mail."""
    async with smtp_server() as server:
        assert isinstance(
            await over(server.port, query=str(fields.pop("query", ""))).send(outgoing(**fields)), Accepted
        )
        [mail] = server.mails
    return mail


class Reader(HTMLParser):
    """Reads HTML as people see it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.attributes: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        if tag == "html":
            self.attributes = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    """Read HTML."""
    reader = Reader()
    reader.feed(html)
    return reader


async def test_a_mail_says_who_wrote_in_text_and_html_with_a_link() -> None:
    mail = await sent(senders=("Cy", "Ana"))
    says = "You have 2 new messages from Ana and 1 other"
    assert mail.message["Subject"] == says
    assert mail.message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.part("plain").startswith(f"{says}\n\nOpen the conversation:\n{LINK}\n")
    html = read(mail.part("html"))
    assert says in html.text
    assert html.links == [LINK, OFF]
    assert html.attributes == {"lang": "en", "dir": "ltr"}
    assert set(html.tags) == {"html", "head", "meta", "title", "body", "p", "a"}
    assert OFF in mail.part("plain")


async def test_the_envelope_and_the_headers_name_sender_and_recipient() -> None:
    mail = await sent(query="&reply_to=" + quote("Help <help@shop.example>"))
    assert (mail.sender, mail.recipients) == ("no-reply@shop.example", [ADDRESS])
    assert mail.message["From"] == "Parley Überall <no-reply@shop.example>"
    assert mail.message["To"] == ADDRESS
    assert mail.message["Reply-To"] == "Help <help@shop.example>"
    assert {"Cc", "Bcc", "Sender"} & set(mail.message.keys()) == set()
    assert abs(parsedate_to_datetime(mail.message["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_nobody_answers_it_automatically() -> None:
    message = (await sent()).message
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"


async def test_one_click_unsubscribes() -> None:
    """RFC 8058: both headers, and the link to the letter, on one line: some readers don't unfold it."""
    mail = await sent(query="&unsubscribe=stop+parley@shop.example")
    mailto = "<mailto:stop%2Bparley@shop.example?subject=unsubscribe>"
    assert f"\r\nList-Unsubscribe: <{OFF}>, {mailto}\r\n".encode() in mail.raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail.raw
    assert (await sent()).message["List-Unsubscribe"] == f"<{OFF}>"


async def test_mails_about_one_channel_are_one_thread_and_each_has_an_id_of_its_own() -> None:
    first, second = outgoing(), outgoing(attempt=2)
    async with smtp_server() as server:
        for message in (first, second):
            await over(server.port).send(message)
    messages = [mail.message for mail in server.mails]
    ids = [message["Message-ID"] for message in messages]
    assert ids == [f"<{first.delivery_id}.1@shop.example>", f"<{second.delivery_id}.2@shop.example>"]
    root = f"<channel.{CHANNEL}@shop.example>"
    assert {message["References"] for message in messages} == {root} == {m["In-Reply-To"] for m in messages}
    assert "References" not in (await sent(thread_id=None)).message


@pytest.mark.parametrize(
    ("locale", "news", "subject", "link", "why"),
    [
        ("en", "received", "Zoë invited you", "Open the invitation", "an invitation that you got or sent"),
        ("de", "accepted", "Zoë hat Ihre Einladung angenommen", "Einladung öffnen", "wegen einer Einladung"),
    ],
)
async def test_mails_about_an_invitation_say_so_and_are_one_thread(
    locale: str, news: InviteNews, subject: str, link: str, why: str
) -> None:
    words = texts.invite_words(locale, news, "Zoë", LINK)
    mail = await sent(locale=locale, category="invites", thread_id=CHANNEL, words=words)
    assert mail.message["Subject"] == subject
    assert mail.message["References"] == f"<invite.{CHANNEL}@shop.example>"
    assert mail.message["List-Unsubscribe"] == f"<{OFF}>"
    for shown in (mail.part("plain"), read(mail.part("html")).text):
        assert link in shown
        assert why in " ".join(shown.split())


@pytest.mark.parametrize(
    ("locale", "subject", "link"),
    [
        ("de-AT", "Sie haben 2 neue Nachrichten von Zoë", "Unterhaltung öffnen"),
        ("fr", "Zoë vous a envoyé 2 nouveaux messages", "Ouvrir la conversation"),
        ("es", "Tienes 2 mensajes nuevos de Zoë", "Abrir la conversación"),
    ],
)
async def test_it_is_in_the_recipients_language(locale: str, subject: str, link: str) -> None:
    mail = await sent(locale=locale, senders=("Zoë",))
    assert mail.message["Subject"] == subject
    assert link in mail.part("plain")
    assert link in read(mail.part("html")).text
    assert mail.message["Content-Language"] == read(mail.part("html")).attributes["lang"] == locale[:2]


async def test_a_name_makes_no_header_and_no_markup() -> None:
    mail = await sent(senders=(NASTY,))
    assert mail.recipients == [ADDRESS]
    assert "Bcc" not in mail.message
    assert mail.message["Subject"].startswith("You have 2 new messages from A Bcc: e@evil. example <s")
    assert "script" not in read(mail.part("html")).tags


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_words_with_line_ends_never_reach_the_line() -> None:
    """The broken variant: names that weren't made harmless. The last wall is the mail's own headers."""
    words = Words(title="", text=f"New from {NASTY}", link=LINK, locale="en")
    async with smtp_server() as server:
        outcome = await over(server.port).send(outgoing(words=words))
        assert outcome == Refused(Fault("busy", "not_sent"))
        assert server.mails == []


@limits(deadline=None)
@given(st.text(max_size=60), st.integers(1, 10_000))
def test_any_name_comes_through_and_the_line_holds_seven_bits(name: str, count: int) -> None:
    message = outgoing(senders=("Bo", name), count=count)
    server = server_of("smtp://localhost?from=a@b.example")
    raw = written(compose(message, server, mailbox(ADDRESS), OFF, texts, datetime.now(UTC)), utf8=False)
    mail = Mail(sender="", recipients=[], options=[], raw=raw, encrypted=False, user=None)
    assert mail.message["Subject"] == message.words.text
    assert message.words.text in read(mail.part("html")).text
    assert mail.part("plain").startswith(message.words.text + "\n")
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^ ]*\?=", raw.partition(b"\r\n\r\n")[0]))


async def test_a_domain_in_any_script_is_written_so_that_every_server_knows_it() -> None:
    mail = await sent(address="bo@bücher.example")
    assert mail.recipients == ["bo@xn--bcher-kva.example"]
    assert "SMTPUTF8" not in mail.options


async def test_an_address_in_any_script_needs_a_server_that_knows_them() -> None:
    mail = await sent(address="用户@例子.example")
    assert mail.recipients == ["用户@xn--fsqu00a.example"]
    assert "SMTPUTF8" in mail.options
    assert "To: 用户@xn--fsqu00a.example".encode() in mail.raw
    async with smtp_server(utf8=False) as server:
        outcome = await over(server.port).send(outgoing(address="用户@例子.example"))
        assert outcome == Refused(Fault("other", "smtputf8_not_offered"))


@pytest.mark.parametrize(
    "address",
    [
        *("", "bo", "bo@", "@x.example", "bo,eve@x.example", "bo <eve@x.example>", "bo@[127.0.0.1]", "bo@x..example"),
        *("bo(c)@x.example", "a b@x.example", ".bo@x.example", "bo@-x.example", "ü,b@x.example", "bo@x.example>", "ü@"),
    ],
)
async def test_what_is_no_address_is_not_tried(address: str) -> None:
    async with smtp_server() as server:
        outcome = await over(server.port).send(outgoing(address=address))
    assert outcome == Refused(Fault("invalid_address", "address_malformed"))
    assert server.mails == []


async def test_it_logs_in_over_starttls(tmp_path: Path) -> None:
    pem, tls = certificate(tmp_path)
    async with smtp_server(tls=tls, auth=True) as server:
        adapter = over(server.port, login=LOGIN, query=f"&tls=required&ca={pem}")
        assert isinstance(await adapter.send(outgoing()), Accepted)
        wrong = over(server.port, login=f"{USER}:wrong@", query=f"&tls=required&ca={pem}")
        assert await wrong.send(outgoing()) == Refused(Fault("configuration", "smtp_535_5.7.8"))
    [mail] = server.mails
    assert (mail.encrypted, mail.user) == (True, USER)


async def test_starttls_is_used_where_it_is_offered(tmp_path: Path) -> None:
    pem, tls = certificate(tmp_path)
    async with smtp_server(tls=tls) as server:
        assert isinstance(await over(server.port, query=f"&ca={pem}").send(outgoing()), Accepted)
    assert server.mails[0].encrypted


async def test_encrypted_from_the_first_byte(tmp_path: Path) -> None:
    pem, tls = certificate(tmp_path)
    async with smtp_server(tls=tls, implicit=True) as server:
        assert isinstance(await over(server.port, scheme="smtps", query=f"&ca={pem}").send(outgoing()), Accepted)
        assert await over(server.port, scheme="smtps").send(outgoing()) == Refused(Fault("configuration", "tls_failed"))
    assert len(server.mails) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    _, tls = certificate(tmp_path)
    async with smtp_server(tls=tls) as server:
        assert await over(server.port).send(outgoing()) == Refused(Fault("configuration", "tls_failed"))
    assert server.mails == []


async def test_nothing_goes_in_the_clear_where_encryption_is_required() -> None:
    async with smtp_server() as server:
        outcome = await over(server.port, query="&tls=required").send(outgoing())
    assert outcome == Refused(Fault("configuration", "smtp_extension_missing"))
    assert server.mails == []

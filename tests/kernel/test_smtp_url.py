"""`PARLEY_SMTP_URL`: what it may say, and that nothing wrong with it waits until a mail is sent."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.settings import SettingsError, load
from kernel.smtp_url import Mailbox, SmtpServer, smtp_server

SENDER = Mailbox("", "no-reply@shop.example")
FROM = "from=no-reply@shop.example"
NAMED = "Shop%20%C3%9Cber%20%3Cno-reply+x@shop.example%3E"
HELP = "%22Help,%20Inc%22%20%3Chelp@shop.example%3E"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (
            f"smtp://127.0.0.1:1025?{FROM}",
            SmtpServer(host="127.0.0.1", port=1025, tls="offered", sender=SENDER),
        ),
        (
            f"smtp://[::1]/?{FROM}&tls=never",
            SmtpServer(host="::1", port=587, tls="never", sender=SENDER),
        ),
        (
            f"smtps://user:p%40ss%2Fw%3Frd@mail.example?{FROM}&ca=%2Fetc%2Fca.pem",
            SmtpServer(
                host="mail.example",
                port=465,
                tls="implicit",
                username="user",
                password="p@ss/w?rd",
                sender=SENDER,
                ca="/etc/ca.pem",
            ),
        ),
        (
            f"smtp://u:p@mail.example:2525?from={NAMED}&reply_to={HELP}&unsubscribe=stop@shop.example",
            SmtpServer(
                host="mail.example",
                port=2525,
                tls="required",
                username="u",
                password="p",
                sender=Mailbox("Shop Über", "no-reply+x@shop.example"),
                reply_to=Mailbox("Help, Inc", "help@shop.example"),
                unsubscribe=Mailbox("", "stop@shop.example"),
            ),
        ),
    ],
)
def test_what_it_may_say(url: str, server: SmtpServer) -> None:
    assert smtp_server(url) == server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_password_may_go_in_the_clear_on_loopback_only(host: str) -> None:
    assert smtp_server(f"smtp://u:p@{host}?{FROM}").tls == "offered"
    assert smtp_server(f"smtp://u:p@{host}?{FROM}&tls=never").tls == "never"
    for tls in ("never", "offered"):
        with pytest.raises(ValueError, match="in the clear"):
            smtp_server(f"smtp://u:p@mail.example?{FROM}&tls={tls}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://mail.example?" + FROM, "expected smtp"),
        ("mail.example", "expected smtp"),
        ("smtp://?" + FROM, "expected smtp"),
        (f"smtp://mail.example/path?{FROM}", "expected smtp"),
        (f"smtp://mail.example:port?{FROM}", "expected smtp"),
        (f"smtp://mail.example:0?{FROM}", "expected smtp"),
        (f"smtp://mail.example:65536?{FROM}", "expected smtp"),
        (f"smtp://mail example?{FROM}", "expected smtp"),
        (f"smtp://u:p#ss@mail.example?{FROM}", "expected smtp"),
        ("smtp://mail.example", "from= is needed"),
        ("smtp://mail.example?from=", "from= is needed once"),
        (f"smtp://mail.example?{FROM}&{FROM}", "from= is needed once"),
        ("smtp://mail.example?from=no-reply", "one ASCII address"),
        ("smtp://mail.example?from=a@b.example,c@d.example", "one ASCII address"),
        ("smtp://mail.example?from=a@b.example%0D%0ABcc:%20eve@evil.example", "one ASCII address"),
        ("smtp://mail.example?from=%C3%BC@b.example", "one ASCII address"),
        ("smtp://mail.example?from=a@b%C3%BC.example", "one ASCII address"),
        (f"smtp://mail.example?{FROM}&unsubscribe=nobody", "unsubscribe= is one ASCII address"),
        (f"smtp://mail.example?{FROM}&colour=red", "its parameters are from, reply_to"),
        (f"smtp://mail.example?{FROM}&tls=maybe", "tls= is one of"),
        (f"smtps://mail.example?{FROM}&tls=never", "tls= is for smtp://"),
        (f"smtp://user@mail.example?{FROM}", "a user needs a password"),
        (f"smtp://:secret@mail.example?{FROM}", "a user needs a password"),
        (f"smtp://u:p%0Aq@mail.example?{FROM}", "printable"),
    ],
)
def test_what_is_wrong_with_it_is_said_at_start(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"PARLEY_SMTP_URL": url})
    [problem] = caught.value.problems
    assert problem.startswith("PARLEY_SMTP_URL: ")
    assert says in problem


@given(st.text(max_size=30), st.sampled_from(["smtp://{}", "smtp://u:{}@h?" + FROM, "smtp://h?from={}", "smtp://h?{}"]))
def test_anything_is_read_or_refused(text: str, shape: str) -> None:
    for given_text in (text, quote(text)):
        try:
            smtp_server(shape.format(given_text))
        except ValueError as error:
            assert str(error)  # noqa: PT017 - that it says anything is the point


@pytest.mark.parametrize("url", ["smtp://u:hush-hush?x@h?" + FROM, "smtp://u:hush-hush/@h", "smtp://u:hush-hush@h?x=y"])
def test_no_refusal_repeats_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|parameters|needed") as caught:
        smtp_server(url)
    assert "hush" not in str(caught.value)

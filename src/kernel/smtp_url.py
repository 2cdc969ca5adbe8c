"""`PARLEY_SMTP_URL`: the server that takes our mail, and what we are called there."""

import ipaddress
import re
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

Tls = Literal["implicit", "required", "offered", "never"]
"""From the first byte; by STARTTLS or not at all; by STARTTLS where the server has it; never."""

PORTS = {"smtp": 587, "smtps": 465}
CHOICES: Mapping[str, Tls] = {"required": "required", "offered": "offered", "never": "never"}
PARAMETERS = ("from", "reply_to", "unsubscribe", "tls", "ca")
HOST = re.compile(r"\A[a-z0-9._:-]+\Z")
ESCAPED = "special characters of user and password are written as %40 and the like"


class Mailbox(msgspec.Struct, frozen=True):
    """An address and, where there is one, the name before it."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What is behind the @."""
        return self.address.rpartition("@")[2]


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail goes and whose it is. `ca`: a file of certificates to trust instead of the system's."""

    host: str
    port: int
    tls: Tls
    username: str | None = None
    password: str | None = None
    sender: Mailbox
    reply_to: Mailbox | None = None
    unsubscribe: Mailbox | None = None
    ca: str | None = None


def smtp_server(url: str) -> SmtpServer:
    """Read `smtp[s]://[user:password@]host[:port]?from=…`; docs/guides/operating.md has the parameters.

    Raises:
        ValueError: says what is wrong, without the password.
    """
    parts, port = _parts(url)
    given = _parameters(parts.query)
    if "from" not in given:
        raise ValueError("from= is needed: the sender's address, as in ?from=Parley%20%3Cno-reply@shop.example%3E")
    username, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    if bool(username) != bool(password) or not f"{username}{password}".isprintable():
        raise ValueError("a user needs a password, and the other way round, both of printable characters")
    host = parts.hostname or ""
    return SmtpServer(
        host=host,
        port=port or PORTS[parts.scheme],
        tls=_tls(parts.scheme, given.get("tls"), has_secret=password is not None, is_here=_is_loopback(host)),
        username=username,
        password=password,
        sender=_mailbox("from", given["from"]),
        reply_to=_mailbox("reply_to", given["reply_to"]) if "reply_to" in given else None,
        unsubscribe=_mailbox("unsubscribe", given["unsubscribe"]) if "unsubscribe" in given else None,
        ca=given.get("ca"),
    )


def _parts(url: str) -> tuple[SplitResult, int | None]:
    problem = ValueError(f"expected smtp[s]://user:password@host:port?from=…; {ESCAPED}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in PORTS or not HOST.match(host) or parts.path not in {"", "/"} or parts.fragment or port == 0:
        raise problem
    return parts, port


def _parameters(query: str) -> dict[str, str]:
    """Split a query; a + is one, as addresses have them."""
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in PARAMETERS:
            raise ValueError(f"its parameters are {', '.join(PARAMETERS)}; {ESCAPED}")
        if name in given or not value:
            raise ValueError(f"{name}= is needed once, with a value")
        given[name] = unquote(value)
    return given


def _tls(scheme: str, asked: str | None, *, has_secret: bool, is_here: bool) -> Tls:
    if scheme == "smtps":
        if asked:
            raise ValueError("tls= is for smtp://; smtps:// is encrypted from the first byte")
        return "implicit"
    if asked not in {None, *CHOICES}:
        raise ValueError(f"tls= is one of {', '.join(CHOICES)}")
    must = has_secret and not is_here
    if must and asked not in {None, "required"}:
        raise ValueError(f"tls={asked} would send the password in the clear")
    return CHOICES[asked] if asked else "required" if must else "offered"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mailbox(parameter: str, text: str) -> Mailbox:
    """Read `name <address>` or an address alone."""
    problem = ValueError(f"{parameter}= is one ASCII address, with or without a name: Shop <hello@shop.example>")
    if not text.isprintable():
        raise problem
    try:
        header: Any = SMTP.header_factory("to", text)
        (address,) = header.addresses
        plain = Address(addr_spec=address.addr_spec)
    except (MessageError, ValueError, IndexError, AttributeError):
        raise problem from None
    if header.defects or not plain.username or not plain.domain or not plain.addr_spec.isascii():
        raise problem
    return Mailbox(address.display_name, plain.addr_spec)

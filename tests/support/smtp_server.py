"""SMTP servers on loopback: one that takes mail (aiosmtpd), and one that answers whatever a test wants."""

import asyncio
import datetime as dt
import ipaddress
import logging
import ssl
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "parley", "pass word:@/?"


class Mail(msgspec.Struct, frozen=True):
    """A mail that was taken: its envelope, itself as it came and as the standard library reads it."""

    sender: str
    recipients: list[str]
    options: list[str]
    raw: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        parsed: EmailMessage = BytesParser(policy=default).parsebytes(self.raw)
        return parsed

    def part(self, kind: str) -> str:
        """The text of a part: `plain` or `html`."""
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


class SmtpServer:
    """Takes mail and keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[Mail] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep a mail and say so."""
        mail = Mail(
            sender=envelope.mail_from or "",
            recipients=list(envelope.rcpt_tos),
            options=list(envelope.mail_options),
            raw=bytes(envelope.original_content or b""),
            encrypted=session.ssl is not None,
            user=session.auth_data and session.auth_data.login.decode(),
        )
        self.mails.append(mail)
        return f"250 2.0.0 Ok: queued as 4XyZ{len(self.mails):06d}"


@asynccontextmanager
async def smtp_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, auth: bool = False, utf8: bool = True
) -> AsyncIterator[SmtpServer]:
    """Run a server.

    Args:
        tls: its certificate; without, it is never encrypted.
        implicit: encrypted from the first byte, instead of by STARTTLS.
        auth: takes mail only from `USER`.
        utf8: offers SMTPUTF8.
    """
    running = SmtpServer(0)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # else it tells all that it hears

    def protocol() -> SMTP:
        more: dict[str, Any] = {}
        if tls is not None and not implicit:
            more = {"tls_context": tls, "require_starttls": True}
        if auth:
            more |= {
                "authenticator": _is_ours,
                "auth_required": True,
                "auth_require_tls": tls is not None and not implicit,
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a password in the clear: this is loopback
            return SMTP(running, hostname="smtp.test", enable_SMTPUTF8=utf8, loop=asyncio.get_running_loop(), **more)

    context = tls if implicit else None
    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
    running.port = listener.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        listener.close()


def _is_ours(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
    fits = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=False, auth_data=given)


class Hang:
    """An answer that never comes."""


HANG = Hang()
POLITE: Mapping[str, str] = {
    "greeting": "220 smtp.test ESMTP",
    "EHLO": "250-smtp.test\r\n250 8BITMIME",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 go on",
    "text": "250 2.0.0 Ok",
    "QUIT": "221 bye",
}
"""What a server says to each step; `text` is the end of a mail."""


class Scripted:
    """Answers by script: at each step a text, None to drop the line, or `HANG`."""

    def __init__(self, answers: Mapping[str, str | Hang | None]) -> None:
        self.answers: Mapping[str, str | Hang | None] = {**POLITE, **answers}
        self.port = 0
        self.heard: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            step = "greeting"
            while await self._answered(step, writer):
                step = await self._next(step, reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answered(self, step: str, writer: asyncio.StreamWriter) -> bool:
        answer = self.answers.get(step, "502 what?")
        if isinstance(answer, Hang):
            await asyncio.sleep(60)
        if not isinstance(answer, str):
            return False
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()
        return step != "QUIT"

    async def _next(self, step: str, reader: asyncio.StreamReader) -> str:
        if step == "DATA" and str(self.answers["DATA"]).startswith("354"):
            await reader.readuntil(b"\r\n.\r\n")
            self.heard.append("text")
            return "text"
        line = (await reader.readuntil(b"\n")).decode()
        self.heard.append(line.strip())
        return line.split()[0].upper()


@asynccontextmanager
async def scripted(**answers: str | Hang | None) -> AsyncIterator[Scripted]:
    """Run a server that answers so."""
    script = Scripted(answers)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(script.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    script.port = listener.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def certificate(folder: Path, *, host: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """Make a certificate that vouches for itself; return its file and what a server needs to show it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, secret)
    return pem, context

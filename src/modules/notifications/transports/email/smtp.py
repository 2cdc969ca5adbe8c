"""E-mail through one SMTP server: a connection for each mail, as many at once as deliveries are sent at once.

A mail is sent once the server has said yes to all of it (RFC 5321, 4.2.5): what fails before the text is handed over,
or is refused, was not sent. If the connection ends while the answer is awaited nobody knows, and nothing is repeated.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException, SMTPResponseException, SMTPTimeoutError

from kernel.clock import Clock, now
from kernel.smtp_url import SmtpServer
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.transports import Outgoing
from modules.notifications.transports.email.addresses import mailbox, needs_utf8
from modules.notifications.transports.email.mail import compose, message_id, written
from modules.notifications.transports.email.replies import Stage, fault
from modules.notifications.wording.texts import Texts

log = structlog.get_logger(__name__)

TIMEOUT_S = 30.0
"""Servers look at a mail before they say yes to it. Within a lease all the same, with time to decide and record."""
QUIT_S = 1.0
QUEUED_AS = re.compile(r"\b(?:queued as|id=|Message accepted for delivery:?)\s*([A-Za-z0-9._-]{4,64})", re.IGNORECASE)
ANSWERS = range(400, 600)

UnsubscribeLink = Callable[[str, str], Awaitable[str]]
"""Returns the link by which this person ends e-mail to this address."""


class SmtpEmail:
    """Sends e-mail."""

    name = "email"

    def __init__(
        self,
        server: SmtpServer,
        *,
        texts: Texts,
        unsubscribe_link: UnsubscribeLink,
        known_as: str,
        clock: Clock = now,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare to send.

        Args:
            server: where mail goes, and whose it is.
            texts: for the words around an alert's own.
            unsubscribe_link: made anew for each mail.
            known_as: our own host's name, with which we greet the server.
            clock: for the date of a mail.
            timeout_s: for one mail, altogether.

        Raises:
            OSError, ssl.SSLError: the file of certificates can't be used.
        """
        self._server = server
        self._texts = texts
        self._unsubscribe_link = unsubscribe_link
        self._known_as = known_as
        self._clock = clock
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context(cafile=server.ca)

    async def send(self, message: Outgoing) -> Outcome:
        """Hand over the one mail."""
        attempt = _Attempt()
        client = self._client()
        try:
            outcome = await self._outcome(client, message, attempt)
            if client.is_connected and not isinstance(outcome, Ambiguous):
                with suppress(Exception):  # a goodbye that nobody waits for: the outcome is known
                    await client.quit(timeout=QUIT_S)
            return outcome
        finally:
            client.close()

    async def close(self) -> None:
        """Nothing is kept open between mails."""

    async def _outcome(self, client: SMTP, message: Outgoing, attempt: "_Attempt") -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._hand_over(client, message, attempt)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the outcome must be told
            return _outcome_of(error, attempt.stage)

    async def _hand_over(self, client: SMTP, message: Outgoing, attempt: "_Attempt") -> Outcome:
        address = message.to.email or ""
        try:
            to = mailbox(address)
        except ValueError:
            return Refused(Fault("invalid_address", "address_malformed"))
        off = await self._unsubscribe_link(message.user_id, address)
        mail = compose(message, self._server, to, off, self._texts, self._clock())
        await client.connect()
        utf8 = needs_utf8(to)
        if utf8 and not client.supports_extension("smtputf8"):
            return Refused(Fault("other", "smtputf8_not_offered"))
        attempt.stage = "sender"
        await client.mail(self._server.sender.address, options=["SMTPUTF8"] if utf8 else [])
        attempt.stage = "recipient"
        await client.rcpt(to.addr_spec, encoding="utf-8" if utf8 else "ascii")
        attempt.stage = "data"
        said = await client.data(written(mail, utf8=utf8))
        queued = QUEUED_AS.search(said.message)
        return Accepted(queued[1] if queued else message_id(message, self._server).strip("<>"))

    def _client(self) -> SMTP:
        server = self._server
        return SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            local_hostname=self._known_as,
            timeout=self._timeout_s,
            use_tls=server.tls == "implicit",
            start_tls={"required": True, "offered": None}.get(server.tls, False),
            tls_context=self._tls,
        )


def greeting(public_url: str) -> str:
    """Return the name by which we greet a server: our public one; addresses in brackets (RFC 5321, 4.1.3)."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if host.isascii() else "localhost"
    return f"[IPv6:{address}]" if isinstance(address, ipaddress.IPv6Address) else f"[{address}]"


class _Attempt:
    """How far a mail has come."""

    def __init__(self) -> None:
        self.stage: Stage = "connect"


def _outcome_of(error: Exception, stage: Stage) -> Outcome:
    if isinstance(error, SMTPResponseException) and error.code in ANSWERS:
        return Refused(fault(stage, error.code, error.message))
    if stage == "data":
        return Ambiguous(_lost(error))
    if _of_tls(error):
        return Refused(Fault("configuration", "tls_failed"))
    if isinstance(error, TimeoutError | OSError | SMTPResponseException):
        return Refused(Fault("busy", "timeout" if isinstance(error, TimeoutError) else "no_connection"))
    if isinstance(error, SMTPException):  # STARTTLS or a way to log in is wanted, and the server has none
        return Refused(Fault("configuration", "smtp_extension_missing"))
    log.warning("mail_not_sent", error=type(error).__name__)
    return Refused(Fault("busy", "not_sent"))


def _lost(error: Exception) -> str:
    if isinstance(error, TimeoutError | SMTPTimeoutError):
        return "timeout"
    return "unexpected_answer" if isinstance(error, SMTPResponseException) else "connection_lost"


def _of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__
    return False

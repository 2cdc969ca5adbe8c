"""The transport, over whatever server a test runs."""

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from kernel.smtp_url import smtp_server as server_of
from modules.notifications.transports import Outgoing, Target
from modules.notifications.transports.email.smtp import SmtpEmail
from modules.notifications.wording.texts import Texts, our_entries

ADDRESS = "bo@people.example"
CHANNEL = UUID("0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01")
LINK = f"https://parley.example/channels/{CHANNEL}"
OFF = "https://parley.example/api/notifications/unsubscribe?token=" + "A" * 119
SENDER = quote("Parley Überall <no-reply@shop.example>")

texts = Texts(our_entries())


def outgoing(
    *, address: str = ADDRESS, locale: str = "en", count: int = 2, senders: tuple[str, ...] = ("Ana",), **more: Any
) -> Outgoing:
    """Return an alert to send."""
    fields: dict[str, Any] = {
        "delivery_id": uuid4(),
        "attempt": 1,
        "user_id": "bo",
        "thread_id": CHANNEL,
        "category": "messages",
        "to": Target(email=address),
        "words": texts.words(locale, count, senders, LINK),
        "validity_s": 1800,
    }
    return Outgoing(**(fields | more))


async def unsubscribe_link(_user_id: str, _address: str) -> str:
    """Return the same link for everybody."""
    return OFF


def over(port: int, *, scheme: str = "smtp", login: str = "", query: str = "", timeout_s: float = 5) -> SmtpEmail:
    """Return the transport for a server on loopback."""
    server = server_of(f"{scheme}://{login}127.0.0.1:{port}?from={SENDER}{query}")
    return SmtpEmail(
        server, texts=texts, unsubscribe_link=unsubscribe_link, known_as="parley.example", timeout_s=timeout_s
    )

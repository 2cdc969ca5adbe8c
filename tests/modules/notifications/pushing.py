"""What tests of push share: the transport to a service on loopback, and messages to its browsers."""

from uuid import UUID, uuid4

from kernel import vapid
from kernel.clock import Clock, now
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from modules.notifications.ports import Category
from modules.notifications.transports import Outgoing, Subscription, Target, Words
from modules.notifications.transports.web_push import WebPush
from tests.support.push_server import Browser, PushServer

KEY = vapid.new()
SUBJECT = "mailto:ops@example.com"
CHANNEL = UUID("019c1350-21d8-7c52-8e3a-6b0d9f4a1c77")
WORDS = Words("Parley", "You have a new message from Ana", "https://parley.example/channels/1", "en")


def pusher(*services: PushServer, clock: Clock = now, timeout_s: float = 5) -> WebPush:
    """Return a transport that may send to these services and nowhere else."""
    egress = Egress(Policy([service.url for service in services]), timeout_s=timeout_s)
    return WebPush(key=KEY, subject=SUBJECT, egress=egress, clock=clock)


def subscription(browser: Browser) -> Subscription:
    """Return what is kept of a browser."""
    told = browser.to_json()
    return Subscription(uuid4(), browser.endpoint, told["keys"]["p256dh"], told["keys"]["auth"])


def outgoing(
    *to: Subscription, thread_id: UUID | None = CHANNEL, category: Category = "messages", words: Words = WORDS
) -> Outgoing:
    """Return a message to these browsers."""
    return Outgoing(
        delivery_id=uuid4(),
        attempt=1,
        user_id="bo",
        thread_id=thread_id,
        category=category,
        to=Target(subscriptions=to),
        words=words,
        validity_s=900,
    )

"""Web push as the settings have it: the key, where may be sent to, who is subscribed, and what sends."""

from kernel import vapid
from kernel.clock import Clock
from kernel.database import Database
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from kernel.settings import Settings
from modules.notifications.push.service import PushRegistry
from modules.notifications.transports import Transport
from modules.notifications.transports.web_push import TIMEOUT_S, WebPush

SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
"""The push services of the browsers that there are: Chrome and its relatives, Firefox, Safari, Edge."""
NOBODY = "mailto:development@example.com"
"""Who runs a server of development. Push services want to be told somebody, and may refuse `localhost`."""


class Push:
    """The parts of web push, wired. Without a key `transport` is None, and nobody can subscribe.

    Raises:
        SettingsError: the key is none.
    """

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        key = vapid.signing_key(settings)
        egress = Egress(Policy(settings.push_allowed_hosts or SERVICES), timeout_s=TIMEOUT_S)
        self.registry = PushRegistry(
            database=database, vapid_key=None if key is None else vapid.public(key), check=egress.check, clock=clock
        )
        self.transport: Transport | None = None
        if key is not None:
            subject = settings.vapid_subject or NOBODY
            self.transport = WebPush(key=key, subject=subject, egress=egress, clock=clock)

    @property
    def on(self) -> bool:
        """Whether there is a key."""
        return self.transport is not None

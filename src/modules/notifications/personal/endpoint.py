"""The personal socket's endpoint: what joining takes. The rest is that of every endpoint, see `realtime.endpoint`.

Guarantees: whatever is told to a person after their `ready` is told to this socket, as far as other instances can be
heard; so what is read over HTTP after `ready` and changed by what comes after it is the truth.
"""

from kernel.auth import Authenticator, Principal
from kernel.clock import now, rfc3339
from kernel.settings import Settings
from modules.notifications.personal.circle import Circle
from modules.notifications.personal.frames import Incoming, PersonalReady, decode
from realtime.admission import Admission
from realtime.company import Visitors
from realtime.connection import Connection
from realtime.endpoint import Endpoint
from realtime.entrance import Entrance
from realtime.frames import frame
from realtime.hub import Hub
from realtime.session import Session


class PersonalEndpoint(Endpoint):
    """Serves `/ws/notifications`."""

    def __init__(
        self,
        *,
        hub: Hub,
        visitors: Visitors,
        circle: Circle,
        authenticator: Authenticator,
        admission: Admission,
        entrance: Entrance,
        settings: Settings,
    ) -> None:
        super().__init__(
            "personal",
            company=visitors,
            flusher=hub.flusher,
            admission=admission,
            entrance=entrance,
            settings=settings,
        )
        self._hub = hub
        self._circle = circle
        self.authenticator = authenticator
        self.frames_per_s = settings.max_frames_per_s

    def _session(self, connection: Connection, principal: Principal) -> Session[Incoming]:
        return Session(self, decode, connection, principal)

    async def _join(self, connection: Connection) -> None:
        """It is registered, so it is told; say so once what other instances tell arrives here, too."""
        await self._hub.backplane.settled()
        connection.send(frame(self._ready(connection)))
        connection.release_all()
        await self._circle.show(connection)

    def _ready(self, connection: Connection) -> PersonalReady:
        return PersonalReady(
            connection_id=connection.id,
            user_id=connection.user_id,
            server_time=rfc3339(now()),
            heartbeat_s=self._settings.ws_heartbeat_s,
        )

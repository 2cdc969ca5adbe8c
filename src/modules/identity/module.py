"""The public face of identity: people, API keys and tokens."""

from litestar import Router

from bus import Bus
from kernel.auth.jwks import KeySet
from kernel.auth.jwt import TokenVerifier
from kernel.auth.secret import signing_secret
from kernel.database import Database
from kernel.http.idempotency import Idempotency
from kernel.settings import Settings
from kernel.signals import Signals
from modules.identity.authenticator import IdentityAuthenticator
from modules.identity.directory import Directory
from modules.identity.events import KEYS_SIGNAL, USER_SIGNAL, UserDeactivated, UserUpdated
from modules.identity.keys import ApiKeys
from modules.identity.routes import routes
from modules.identity.service import People
from modules.identity.tokens import Tokens


class IdentityModule:
    """Ports: `authenticator` and `directory`. `people`, `keys` and `tokens` also serve the command line."""

    def __init__(self, *, settings: Settings, database: Database, bus: Bus) -> None:
        secret = signing_secret(settings)
        jwks = KeySet(settings.jwks_url) if settings.jwks_url else None
        named = {"audience": settings.jwt_audience, "issuer": settings.jwt_issuer}
        self.directory = Directory(database)
        self.people = People(database, bus)
        self.keys = ApiKeys(database)
        self.tokens = Tokens(self.directory, secret=secret, **named)
        verifier = TokenVerifier(secret=secret, keys=jwks, **named)
        self.authenticator = IdentityAuthenticator(verifier, self.keys, self.directory)
        self.routes: list[Router] = routes(
            self.people, self.tokens, Idempotency(database), dev_login=settings.dev_login
        )

    def subscribe(self, bus: Bus) -> None:
        """Keep the directory true to what this process changes."""
        bus.on(UserUpdated, lambda event: self.directory.forget(event.user_id))
        bus.on(UserDeactivated, lambda event: self.directory.forget(event.user_id))

    def listen(self, signals: Signals) -> None:
        """Keep what is remembered true to what other instances change."""
        signals.on(USER_SIGNAL, self.directory.forget)
        signals.on(KEYS_SIGNAL, lambda _: self.keys.forget_all())
        signals.on_doubt(self.directory.forget_all)
        signals.on_doubt(self.keys.forget_all)

    async def start(self) -> None:
        """Nothing runs beside the requests."""

    async def stop(self) -> None:
        """Nothing to end."""

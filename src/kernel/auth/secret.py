"""The secret that signs our own tokens. Development makes one up and keeps it in the data directory."""

import secrets

from kernel.kept import kept
from kernel.settings import MIN_SECRET_BYTES, Settings, SettingsError

FILE_NAME = "jwt-secret"


def signing_secret(settings: Settings) -> str | None:
    """Return the secret for HS256, or None where only the host's own keys count.

    Without `PARLEY_JWT_SECRET` and `PARLEY_JWKS_URL` (development only) it is read from
    `<data_dir>/jwt-secret`, which is made on first need, readable by its owner only. Processes that race
    get the same one.

    Raises:
        SettingsError: in production without either; or the file holds too little.
    """
    if settings.jwt_secret is not None or settings.jwks_url is not None:
        return settings.jwt_secret
    if settings.production:
        raise SettingsError(["PARLEY_JWT_SECRET or PARLEY_JWKS_URL: needed in production"])
    path = settings.data_dir / FILE_NAME
    secret = kept(path, lambda: secrets.token_urlsafe(48))
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SettingsError([f"{path}: holds less than {MIN_SECRET_BYTES} bytes; remove it to have a new one made"])
    return secret

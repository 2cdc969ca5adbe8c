"""Who is calling: credentials in, a Principal out."""

from kernel.auth.principal import Authenticator, DeactivatedError, Principal, Role

__all__ = ["Authenticator", "DeactivatedError", "Principal", "Role"]

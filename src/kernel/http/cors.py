"""Which other origins' pages may call this server from a browser."""

from collections.abc import Sequence

from litestar.config.cors import CORSConfig

ALLOWED = ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"]
EXPOSED = ["Retry-After", "X-Request-Id"]


def config(origins: Sequence[str]) -> CORSConfig | None:
    """Return what lets the pages of these origins in, exactly; None, so that only one's own are, for none.

    Cookies are not wanted: credentials travel in a header that a page has to set itself.
    """
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=ALLOWED,
        expose_headers=EXPOSED,
    )

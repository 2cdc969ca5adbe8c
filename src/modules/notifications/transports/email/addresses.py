"""Addresses as SMTP takes them: people's profiles hold whatever has an @."""

import re
from email.errors import MessageError
from email.headerregistry import Address

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"\A(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*\Z", re.IGNORECASE)
UNFIT = re.compile(r"[\x00-\x20\x7f\"(),:;<>@\[\\\]]")


def mailbox(address: str) -> Address:
    """Return an address for headers and envelope; its domain in ASCII (RFC 5890), so that servers needn't know more.

    What is before the @ may be in any script; then the server needs SMTPUTF8 (RFC 6531).

    Raises:
        ValueError: nothing can be sent there.
    """
    local, _, domain = address.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
        fits = bool(DOMAIN.match(domain)) and (local.isascii() or not UNFIT.search(local))
        found = Address(addr_spec=f"{local}@{domain}") if local.isascii() else Address(username=local, domain=domain)
    except (MessageError, UnicodeError, ValueError, IndexError) as error:
        raise ValueError("no address that mail can be sent to") from error
    if not fits or not local or found.addr_spec != f"{local}@{domain}":
        raise ValueError("no address that mail can be sent to")
    return found


def needs_utf8(address: Address) -> bool:
    """Whether only a server with SMTPUTF8 takes it."""
    return not address.addr_spec.isascii()

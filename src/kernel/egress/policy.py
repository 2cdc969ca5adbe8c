"""Which URLs may be called at all. Pure: nothing is looked up here."""

import re
from collections.abc import Callable, Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec

from kernel.egress.addresses import is_public

MAX_URL_CHARS = 2048
MAX_HOST_CHARS = 253
MAX_PORT = 65_535
PORTS = {"https": 443, "http": 80}

URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?(?P<rest>[/?][!-~]*)?",
    re.IGNORECASE,
)
"""Narrower than RFC 3986, so that no two programs can read another host out of it."""
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that makes browsers and `inet_aton` read the whole name as an IPv4 address."""
INSIDE = (
    *(".localhost", ".localdomain", ".local", ".internal", ".intranet"),
    *(".private", ".corp", ".home", ".lan", ".home.arpa"),
)
"""Ends of names that lead inside, wherever they are looked up."""


class NotAllowed(Exception):
    """The URL may not be called; the message says why, for the one who named it. Nothing was sent."""


class Place(msgspec.Struct, frozen=True):
    """Where a URL leads."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int

    @property
    def origin(self) -> str:
        """As in RFC 6454: the port only where it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if PORTS[self.scheme] == self.port else f":{self.port}")


class Policy:
    """What may be called: https on its own port, at hosts that are listed, or at any that are public.

    `entries`: hosts (`push.example`), all below a host (`*.push.example`), and origins (`http://127.0.0.1:8123`). An
    origin is trusted as it stands, with its port, whatever address it leads to. With `anywhere` every public host is
    fit, and only origins matter.

    Raises:
        ValueError: an entry is none of these; the message names it.
    """

    def __init__(
        self, entries: Iterable[str] = (), *, anywhere: bool = False, admits: Callable[[str], bool] = is_public
    ) -> None:
        self.anywhere = anywhere
        self.admits = admits
        """Whether an address may be connected to. Tests put something else here, as all they have is loopback."""
        listed = [entry.lower() for entry in entries]
        self._origins = frozenset(_origin(entry) for entry in listed if "://" in entry)
        hosts = [self._host(entry) for entry in listed if "://" not in entry]
        self._hosts = frozenset(host for host in hosts if not host.startswith("*."))
        self._below = tuple(host[1:] for host in hosts if host.startswith("*."))

    def trusts(self, place: Place) -> bool:
        """Whether its origin is listed, so that its addresses are not looked at."""
        return place.origin in self._origins

    def check(self, url: str) -> Place:
        """Return where `url` leads.

        Raises:
            NotAllowed: it may not be called.
        """
        place = parse(url)
        if self.trusts(place):
            return place
        if place.scheme != "https":
            raise NotAllowed("must begin with https://")
        if place.port != PORTS["https"]:
            raise NotAllowed("must use port 443")
        self._check_host(place.host)
        return place

    def _check_host(self, host: str) -> None:
        self._check_public(host)
        if not self.anywhere and host not in self._hosts and not host.endswith(self._below):
            raise NotAllowed("leads to a host that isn't allowed")

    def _check_public(self, host: str) -> None:
        if _is_address(host):
            if not self.admits(host):
                raise NotAllowed("must lead to a public address")
        elif "." not in host or f".{host}".endswith(INSIDE):
            raise NotAllowed("has a host that only a local network knows")

    def _host(self, entry: str) -> str:
        name = entry.removeprefix("*.")
        try:
            host = parse(f"https://{name}").host
            self._check_public(host)
        except NotAllowed as error:
            raise ValueError(
                f"{entry}: {error}; what is inside is listed as an origin, with https:// and port"
            ) from None
        if name not in {host, f"[{host}]"}:
            raise ValueError(f"{entry}: expected a host, all below a host (*.example.com), or an origin")
        return host if name == entry else f"*.{host}"


def parse(url: str) -> Place:
    """Read where a URL leads.

    Raises:
        NotAllowed: it isn't an http(s) URL, or is written in a way that programs read differently.
    """
    if len(url) > MAX_URL_CHARS:
        raise NotAllowed(f"must be at most {MAX_URL_CHARS} characters")
    if not url.isascii():
        raise NotAllowed("must be ASCII; write other names in Punycode")
    if "#" in url:
        raise NotAllowed("must have no fragment")
    if "@" in re.split(r"[/?\\]", url.partition("://")[2], maxsplit=1)[0]:
        raise NotAllowed("must hold no credentials")
    match = URL.fullmatch(url)
    if match is None:
        raise NotAllowed("must be an address such as https://example.com/path")
    scheme = match["scheme"].lower()
    port = PORTS[scheme] if match["port"] is None else int(match["port"])
    if not 0 < port <= MAX_PORT:
        raise NotAllowed("has a port that there isn't")
    return Place(scheme, _host(match["host"].lower()), port)


def _host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except AddressValueError:
            raise NotAllowed("has a host that is no IPv6 address") from None
    if len(host) > MAX_HOST_CHARS or not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise NotAllowed("has a host that is no name")
    if NUMERIC.fullmatch(host.rpartition(".")[2]) and not _is_address(host):
        raise NotAllowed("must write an IPv4 address as four decimal numbers")
    return host


def _is_address(host: str) -> bool:
    try:
        return bool(IPv6Address(host) if ":" in host else IPv4Address(host))
    except AddressValueError:
        return False


def _origin(entry: str) -> str:
    try:
        place = parse(entry)
    except NotAllowed as error:
        raise ValueError(f"{entry}: {error}") from None
    if set("/?") & set(entry.partition("://")[2]):
        raise ValueError(f"{entry}: an origin has no path")
    return place.origin

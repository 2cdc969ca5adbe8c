"""Which IP addresses belong to the public internet, after IANA's registries of special-purpose addresses."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

NOT_PUBLIC = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by the customers of a carrier; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform, from inside of it
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, given up
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
NOT_GLOBAL = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
LOW_32 = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Whether `address` is one of the public internet, also when it is an IPv4 address written as IPv6.

    Anything that isn't an address in its canonical form (with a zone, in octal, shortened) isn't.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _public_4(parsed) if isinstance(parsed, IPv4Address) else _public_6(parsed)


def _public_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in NOT_PUBLIC)


def _public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    embedded = address.ipv4_mapped or address.sixtofour
    if address in NAT64:
        embedded = IPv4Address(int(address) & LOW_32)
    if embedded is not None:
        return _public_4(embedded)
    return address in GLOBAL_UNICAST and not any(address in network for network in NOT_GLOBAL)

"""Name look-up that hands out only addresses which may be connected to."""

import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class ForbiddenAddress(OSError):
    """A name led to an address that isn't public. Nothing was sent."""


class GuardedResolver(AbstractResolver):
    """Asks `inner`, and refuses a name as a whole if any of its addresses isn't admitted."""

    def __init__(self, inner: AbstractResolver, admits: Callable[[str], bool]) -> None:
        self._inner = inner
        self._admits = admits

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look up.

        Raises:
            ForbiddenAddress: one of its addresses isn't admitted.
            OSError: the name isn't known, or nobody answers.
        """
        found = await self._inner.resolve(host, port, family)
        if not all(self._admits(one["host"]) for one in found):
            raise ForbiddenAddress("not a public address")
        return found

    async def close(self) -> None:
        """Let go of the inner one."""
        await self._inner.close()


def guarded_socket(admits: Callable[[str], bool]) -> Callable[[AddrInfo], socket.socket]:
    """Return what makes sockets for admitted addresses only: the last look, at what is really connected to.

    The client doesn't ask a resolver about hosts that it takes for addresses already.
    """

    def make(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not admits(str(address[0])):
            raise ForbiddenAddress("not a public address")
        return socket.socket(family, kind, protocol)

    return make

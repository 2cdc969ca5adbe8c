"""Names of time zones, as the tzdata package has them: the host's own files may have fewer, or others (`localtime`)."""

from functools import cache
from importlib import resources

NO_PLACE = frozenset({"Factory"})


def is_time_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone, written as IANA writes it."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split()) - NO_PLACE

"""Two people, in either order."""

import hashlib
from typing import TypeAlias

Pair: TypeAlias = tuple[str, str]
"""The smaller id first."""


def pair_of(one: str, other: str) -> Pair:
    """Return the two, the smaller id first: as the database orders them, by their bytes."""
    return (one, other) if one < other else (other, one)


def lock_key(pair: Pair) -> int:
    """Return what an advisory lock on these two is taken by. Ids hold no NUL: no two pairs are written alike."""
    digest = hashlib.sha256("\0".join(("contacts", *pair)).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)

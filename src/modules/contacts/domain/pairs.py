"""Two people, in either order."""

from typing import TypeAlias

Pair: TypeAlias = tuple[str, str]
"""The smaller id first."""


def pair_of(one: str, other: str) -> Pair:
    """Return the two, the smaller id first: as the database orders them, by their bytes."""
    return (one, other) if one < other else (other, one)

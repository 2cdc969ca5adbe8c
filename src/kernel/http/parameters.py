"""Parameters of paths and queries, as types.

Litestar drops the constraints of types such as `HostId` in a parameter, and those of a parameter that stand inside of
a union, so they are given to the whole parameter.
"""

from typing import Annotated, TypeAlias
from uuid import UUID

from litestar.params import PathParameter, QueryParameter

from kernel.text import HOST_ID, pattern

MAX_SEQ = 2**63 - 1
CURSOR = pattern(r"\A[A-Za-z0-9_-]+\Z", "isn't one that was given out")
UUID_TEXT = pattern(r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", "must be a UUID")
ABOUT_HOST_IDS = "An id of the host application: 1-64 characters of A-Z a-z 0-9 . _ : @ -"

HostIdInPath: TypeAlias = Annotated[
    str, PathParameter(min_length=1, max_length=64, pattern=HOST_ID, description=ABOUT_HOST_IDS)
]
"""A `kernel.text.HostId` in the path."""

HostIdInQuery: TypeAlias = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, pattern=HOST_ID, description=ABOUT_HOST_IDS)
]
"""A `kernel.text.HostId` in the query, or None; give it the default None."""

ChannelInQuery: TypeAlias = Annotated[str | None, QueryParameter(pattern=UUID_TEXT, description="Only this channel")]
"""A channel's id, or None; give it the default None. As `UUID | None` the text `null` would be taken for no id."""

SeqInQuery: TypeAlias = Annotated[int | None, QueryParameter(ge=0, le=MAX_SEQ)]
"""A place in a channel's log, or None; give it the default None."""

Cursor: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=200, pattern=CURSOR, description="`next` of the page before")
]
"""Where a page begins; give it the default None."""

Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=100)]
"""How much a page may hold; give it the default 50."""


def uuid_or_none(text: str | None) -> UUID | None:
    """Return the id that a parameter with the pattern of one holds."""
    return None if text is None else UUID(text)

"""Parameters of paths and queries, as types.

Litestar drops the constraints of types such as `HostId` in a parameter, and those of a parameter that stand inside of
a union, so they are given to the whole parameter.
"""

from typing import Annotated, TypeAlias

from litestar.params import PathParameter, QueryParameter

from kernel.text import HOST_ID, pattern

MAX_SEQ = 2**63 - 1
CURSOR = pattern(r"\A[A-Za-z0-9_-]+\Z", "isn't one that was given out")
ABOUT_HOST_IDS = "An id of the host application: 1-64 characters of A-Z a-z 0-9 . _ : @ -"

HostIdInPath: TypeAlias = Annotated[
    str, PathParameter(min_length=1, max_length=64, pattern=HOST_ID, description=ABOUT_HOST_IDS)
]
"""A `kernel.text.HostId` in the path."""

HostIdInQuery: TypeAlias = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, pattern=HOST_ID, description=ABOUT_HOST_IDS)
]
"""A `kernel.text.HostId` in the query, or None; give it the default None."""

SeqInQuery: TypeAlias = Annotated[int | None, QueryParameter(ge=0, le=MAX_SEQ)]
"""A place in a channel's log, or None; give it the default None."""

Cursor: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=200, pattern=CURSOR, description="`next` of the page before")
]
"""Where a page begins; give it the default None."""

Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=100)]
"""How much a page may hold; give it the default 50."""

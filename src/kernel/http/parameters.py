"""Parameters of paths and queries, as types.

Litestar drops the constraints of an annotated type such as `HostId` when it is marked as a parameter
(`FromPath`), so they are given to the parameter itself.
"""

from typing import Annotated, TypeAlias

from litestar.params import PathParameter

HostIdInPath: TypeAlias = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=64,
        pattern=r"\A[A-Za-z0-9._:@-]{1,64}\Z",
        description="An id of the host application: 1-64 characters of A-Z a-z 0-9 . _ : @ -",
    ),
]
"""A `kernel.text.HostId` in the path."""

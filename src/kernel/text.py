"""The kinds of text that may come in, as types: what they refuse is refused everywhere alike.

Text is stored exactly as sent, so nothing here trims or normalises. U+0000 is refused because PostgreSQL
can't store it; lone surrogates never get this far, because JSON decoding refuses them.
"""

from typing import Annotated

from msgspec import Meta

NO_NUL = r"\A[^\x00]*\Z"

HostId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"\A[A-Za-z0-9._:@-]{1,64}\Z",
        description="An id of the host application: 1-64 characters of A-Z a-z 0-9 . _ : @ -",
        examples=["ana"],
    ),
]
ClientId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"\A[^\x00-\x1f\x7f]{1,64}\Z",
        description="Made by the client, once for each thing it creates; repeating it repeats the answer",
        examples=["0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"],
    ),
]
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
Url = Annotated[str, Meta(max_length=2000, pattern=r"\Ahttps?://[^\s\x00-\x1f]+\Z")]


def holds_nul(value: object) -> bool:
    """Whether U+0000 is anywhere in a JSON value, keys included."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))

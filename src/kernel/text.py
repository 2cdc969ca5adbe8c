"""The kinds of text that may come in, as types: what they refuse is refused everywhere alike.

Text is stored exactly as sent, so nothing here trims or normalises. U+0000 is refused because PostgreSQL
can't store it; lone surrogates never get this far, because JSON decoding refuses them.
"""

import re
from typing import Annotated

from msgspec import Meta

_IN_WORDS: dict[str, str] = {}
_PATTERN_IN_MESSAGE = re.compile(r"\AExpected `[^`]*` matching regex (?P<pattern>'.*')\Z", re.DOTALL)


def pattern(regex: str, meaning: str) -> str:
    """Return `regex`, for a `Meta`; errors will say `meaning` in its place."""
    _IN_WORDS[repr(regex)] = meaning
    return regex


def in_words(message: str) -> str:
    """Return a validation message for people: with the meaning of the pattern that didn't match."""
    match = _PATTERN_IN_MESSAGE.match(message)
    return _IN_WORDS.get(match["pattern"], message) if match else message


NO_NUL = pattern(r"\A[^\x00]*\Z", "must not contain U+0000")
UTF8 = pattern(r"\A[^\x00\ufffd]*\Z", "must be UTF-8 without U+0000")
"""For queries, in which U+FFFD stands for what isn't UTF-8."""
HOST_ID = pattern(r"\A[A-Za-z0-9._:@-]{1,64}\Z", "must be 1-64 characters of A-Z a-z 0-9 . _ : @ -")
CLIENT_ID = pattern(r"\A[^\x00-\x1f\x7f]{1,64}\Z", "must not contain control characters")
URL = pattern(r"\Ahttps?://[^\s\x00-\x1f]+\Z", "must be an http:// or https:// address")

HostId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=HOST_ID,
        description="An id of the host application: 1-64 characters of A-Z a-z 0-9 . _ : @ -",
        examples=["ana"],
    ),
]
ClientId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=CLIENT_ID,
        description="Made by the client, once for each thing it creates; repeating it repeats the answer",
        examples=["0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"],
    ),
]
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
Url = Annotated[str, Meta(max_length=2000, pattern=URL, examples=["https://example.org/ana.png"])]


def holds_nul(value: object) -> bool:
    """Whether U+0000 is anywhere in a JSON value, keys included."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))

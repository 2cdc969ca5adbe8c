"""What is found, as it goes out."""

from typing import Annotated

import msgspec
from msgspec import Meta

from modules.messaging.schemas.messages import Message


class Highlight(msgspec.Struct, frozen=True):
    """A part of `content` that was looked for, counted in characters (Unicode code points) from 0."""

    start: Annotated[int, Meta(ge=0, examples=[22])]
    length: Annotated[int, Meta(ge=1, examples=[4])]


class Found(msgspec.Struct, frozen=True):
    """A message as it is now, and its first highlights, in order and apart."""

    message: Message
    highlights: list[Highlight]


class SearchPage(msgspec.Struct, frozen=True):
    """Newest first. `complete`: false while older messages may be missing, because the index is being built."""

    items: list[Found]
    next: str | None
    complete: bool

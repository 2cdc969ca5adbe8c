"""What goes in and out over HTTP."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.incoming import Incoming
from kernel.text import NO_NUL, HostId, pattern

LINK = pattern(
    r"\A(https://[^\s/?#@\\\x00-\x1f\x7f]+([/?#][^\s\\\x00-\x1f\x7f]*)?|/(?!/)[^\s\\\x00-\x1f\x7f]*)\Z",
    "must be an https:// address, or a path that begins with one /",
)

MAX_TOLD = 1_000

NoticeTitle = Annotated[str, Meta(min_length=1, max_length=120, pattern=NO_NUL, examples=["Timesheets are due"])]
NoticeBody = Annotated[
    str, Meta(min_length=1, max_length=1_000, pattern=NO_NUL, examples=["Please confirm last week's hours by Friday."])
]
Link = Annotated[
    str,
    Meta(
        max_length=2_000,
        pattern=LINK,
        description="An https:// address, or a path of the page that shows the notice",
        examples=["/timesheets/2026-05"],
    ),
]


class PostNotice(Incoming, frozen=True, kw_only=True):
    """Something to say to people who are there."""

    user_ids: Annotated[list[HostId], Meta(min_length=1, max_length=MAX_TOLD)]
    title: NoticeTitle
    body: NoticeBody
    link: Link | None = None


class NoticeTaken(msgspec.Struct, frozen=True, kw_only=True):
    """The notice was passed on to the sockets of this many people, as far as they have any."""

    notice_id: UUID
    recipients: Annotated[int, Meta(examples=[2])]

"""Templates, as they are put and shown."""

from typing import Annotated

import msgspec
from msgspec import Meta

from kernel.clock import Timestamp
from kernel.incoming import Incoming
from kernel.text import NO_NUL, pattern
from modules.contacts.domain.templates import MAX_TEXT_CHARS

TEMPLATE_NAME = pattern(r"\A[a-z0-9_-]{1,64}\Z", "must be 1-64 characters of a-z 0-9 _ -")
TemplateName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=TEMPLATE_NAME,
        description="The name of a template: 1-64 characters of a-z 0-9 _ -",
        examples=["join-the-crew"],
    ),
]
TemplateText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=NO_NUL,
        description="With `{invitor}` for who invites and `{channel}` for the channel's title, each at most once",
        examples=["{invitor} would like you to join {channel}"],
    ),
]


class PutTemplate(Incoming, frozen=True):
    """A text for invitations."""

    text: TemplateText


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A text for invitations, under its name."""

    name: TemplateName
    text: TemplateText
    updated_at: Timestamp


class TemplatePage(msgspec.Struct, frozen=True):
    """Templates, by name."""

    items: list[Template]
    next: str | None

"""Contacts and blocks, as they go out, and lists of people to check, as they come in."""

import re
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from kernel.clock import Timestamp
from kernel.errors import malformed_field

MAX_CHECKED = 1_000
MAX_CHECKED_CHARS = 64_000
"""All of it has to fit into the head of a request, which has at most 64 KiB."""

USER_ID = re.compile(r"\A[A-Za-z0-9._:@-]{1,64}\Z")
USERNAME = re.compile(r"\A[A-Za-z0-9._:@+-]{1,64}\Z")
SHOWN_CHARS = 64

Checked: TypeAlias = Annotated[dict[str, bool], Meta(examples=[{"ben": True, "zoe": False}])]
"""Whether each is a contact, by what was asked."""


class ContactUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, as their contacts see them."""

    user_id: str
    username: str
    display_name: str
    avatar_url: str | None


class ContactView(msgspec.Struct, frozen=True):
    """A contact, and since when they are one."""

    user: ContactUser
    since: Timestamp


class ContactPage(msgspec.Struct, frozen=True):
    """One's contacts, newest first."""

    items: list[ContactView]
    next: str | None


class BlockedUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is blocked. Without names where the two never had to do with each other, and there may be nobody."""

    user_id: str
    username: str | None
    display_name: str | None


class BlockView(msgspec.Struct, frozen=True):
    """A block, and since when it is one."""

    user: BlockedUser
    since: Timestamp


class BlockPage(msgspec.Struct, frozen=True):
    """Whom one blocks, newest first."""

    items: list[BlockView]
    next: str | None


def user_ids(text: str) -> list[str]:
    """Return ids that are separated by commas.

    Raises:
        MalformedError: too many, or one that can't be an id: it is named.
    """
    return _listed("?user_ids", text, USER_ID, "must be 1-64 characters of A-Z a-z 0-9 . _ : @ -")


def usernames(text: str) -> list[str]:
    """Return names that are separated by commas.

    Raises:
        MalformedError: too many, or one that can't be a name: it is named.
    """
    return _listed("?usernames", text, USERNAME, "must be 1-64 characters of A-Z a-z 0-9 . _ : @ + -, the + as %2B")


def _listed(pointer: str, text: str, form: re.Pattern[str], meaning: str) -> list[str]:
    found = text.split(",")
    if len(found) > MAX_CHECKED:
        raise malformed_field(pointer, f"at most {MAX_CHECKED:,} at once")
    for index, one in enumerate(found, start=1):
        if not form.match(one):
            raise malformed_field(pointer, f"no. {index}, {one[:SHOWN_CHARS]!r}, {meaning}")
    return found

"""Contacts over HTTP."""

from typing import Annotated

from litestar import delete, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from kernel.auth import Principal
from kernel.errors import malformed_field
from kernel.http.access import USER, key, who
from kernel.http.parameters import Cursor, HostIdInPath, HostIdInQuery, Limit
from kernel.text import UTF8
from modules.contacts.schemas.contacts import (
    MAX_CHECKED,
    MAX_CHECKED_CHARS,
    Checked,
    ContactPage,
    user_ids,
    usernames,
)
from modules.contacts.service.contacts import Contacts

TAGS = ["Contacts"]
CHECKS = who(USER, key("contacts"))
ABOUT_LISTS = f"separated by commas: at most {MAX_CHECKED:,}, and {MAX_CHECKED_CHARS:,} characters"

UserIds = Annotated[
    str,
    QueryParameter(
        name="user_ids",
        min_length=1,
        max_length=MAX_CHECKED_CHARS,
        pattern=UTF8,
        description=f"Ids of people, {ABOUT_LISTS}",
    ),
]
Usernames = Annotated[
    str,
    QueryParameter(
        name="usernames",
        min_length=1,
        max_length=MAX_CHECKED_CHARS,
        pattern=UTF8,
        description=f"Names of people, whatever their case, {ABOUT_LISTS}. A `+` is written `%2B`",
    ),
]


@get("/api/contacts", opt=who(USER), operation_id="listContacts", summary="One's contacts, newest first", tags=TAGS)
async def list_contacts(
    caller: NamedDependency[Principal],
    contacts: NamedDependency[Contacts],
    q: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=100,
            pattern=UTF8,
            description="Only those whose username or display name contains this, whatever its case",
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ContactPage:
    """Names are as they are now. Whether contacts are there is told at `/ws/notifications`."""
    return await contacts.page(caller.id, q, limit=limit, cursor=cursor)


@get(
    "/api/contacts/check",
    opt=CHECKS,
    operation_id="checkContacts",
    summary="Whether people are contacts, by ids",
    tags=TAGS,
)
async def check_contacts(
    caller: NamedDependency[Principal], contacts: NamedDependency[Contacts], listed: UserIds, of: HostIdInQuery = None
) -> Checked:
    """By each id whether they are a contact of the caller's, or, with an API key, of the person `of`. One's own id is
    `false`, and so is one that nobody has.
    """
    return await contacts.check(_whose(caller, of), user_ids(listed))


@get(
    "/api/contacts/check-by-username",
    opt=CHECKS,
    operation_id="checkContactsByUsername",
    summary="Whether people are contacts, by usernames",
    tags=TAGS,
)
async def check_by_username(
    caller: NamedDependency[Principal], contacts: NamedDependency[Contacts], listed: Usernames, of: HostIdInQuery = None
) -> Checked:
    """By each name, as it was asked, whether it is that of a contact. A name that nobody has is `false`."""
    return await contacts.check_usernames(_whose(caller, of), usernames(listed))


@delete(
    "/api/contacts/{user_id:str}", opt=who(USER), operation_id="removeContact", summary="Remove a contact", tags=TAGS
)
async def remove_contact(
    user_id: HostIdInPath, caller: NamedDependency[Principal], contacts: NamedDependency[Contacts]
) -> None:
    """For both. Their direct channel is archived where contacts are required: both go on reading it. Either may invite
    the other again.
    """
    await contacts.remove(caller.id, user_id)


HANDLERS: list[HTTPRouteHandler] = [list_contacts, check_contacts, check_by_username, remove_contact]


def _whose(caller: Principal, of: str | None) -> str:
    """Return whose contacts are meant: people ask for their own, hosts for those of somebody.

    Raises:
        MalformedError: a person who asks for somebody's, or a host that asks for nobody's.
    """
    if caller.kind == "user":
        if of is not None:
            raise malformed_field("?of", "is for API keys: you ask about your own contacts")
        return caller.id
    if of is None:
        raise malformed_field("?of", "is needed with an API key: whose contacts are meant")
    return of

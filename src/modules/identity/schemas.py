"""What comes in and goes out over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from kernel.auth import Role
from kernel.clock import Timestamp, rfc3339
from kernel.errors import Problem
from kernel.incoming import Incoming
from kernel.text import HostId, Url, pattern

MAX_BATCH = 100
DAY_S = 86_400
UNSHOWABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Controls, line ends and changes of writing direction: a name is shown within other people's sentences."""

Username = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=pattern(r"\A[A-Za-z0-9._:@+-]{1,64}\Z", "must be 1-64 characters of A-Z a-z 0-9 . _ : @ + -"),
        description="Unique, whatever the case: 1-64 characters of A-Z a-z 0-9 . _ : @ + -",
        examples=["ana.lopez"],
    ),
]
DisplayName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=pattern(rf"\A(?=.*\S)[^{UNSHOWABLE}]+\Z", "must be one line that isn't blank, without controls"),
        description="One line that isn't blank",
        examples=["Ana López"],
    ),
]
Phone = Annotated[
    str,
    Meta(
        max_length=16,
        pattern=pattern(r"\A\+[1-9][0-9]{6,14}\Z", "must be in E.164 form, such as +442079460000"),
        description="E.164",
        examples=["+442079460000"],
    ),
]
Email = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=pattern(rf"\A[^@\s{UNSHOWABLE}]{{1,64}}@[^@\s{UNSHOWABLE}]+\Z", "must be an e-mail address"),
        examples=["ana@example.org"],
    ),
]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA name", examples=["Europe/London"])]
Locale = Annotated[
    str,
    Meta(
        max_length=35,
        pattern=pattern(r"\A[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z", "must be a BCP 47 language tag, such as en-GB"),
        description="BCP 47",
        examples=["en-GB"],
    ),
]


class UserBody(Incoming, frozen=True, kw_only=True):
    """The whole wanted profile: what is left out is emptied."""

    username: Username
    display_name: DisplayName
    avatar_url: Url | None = None
    phone: Phone | None = None
    email: Email | None = None
    time_zone: TimeZone | None = None
    locale: Locale | None = None


class UserEntry(UserBody, frozen=True, kw_only=True):
    """One person of a batch."""

    user_id: HostId


class UserBatch(Incoming, frozen=True):
    """Entries are checked one by one, so that a malformed one is answered in its own result."""

    users: Annotated[list[UserEntry | Any], Meta(max_length=MAX_BATCH)]


class BatchResult(msgspec.Struct, omit_defaults=True):
    """What became of one entry, and why when it is `error`. `user_id` is as given, when it could be read."""

    user_id: str | None
    status: Literal["created", "updated", "unchanged", "error"]
    problem: Problem | None = None


class BatchReply(msgspec.Struct):
    """A result for each entry, in their order."""

    results: list[BatchResult]


class User(msgspec.Struct, kw_only=True):
    """A person, as their host and they themselves see them."""

    user_id: str
    username: str
    display_name: str
    avatar_url: str | None
    phone: str | None
    email: str | None
    time_zone: str | None
    locale: str | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, entry: UserEntry, created_at: datetime, updated_at: datetime) -> Self:
        """Show an entry as it was saved."""
        times = {"created_at": rfc3339(created_at), "updated_at": rfc3339(updated_at)}
        return cls(**msgspec.structs.asdict(entry), **times)


class Me(User, kw_only=True):
    """One's own profile."""

    connect_pin: str


class ConnectPin(msgspec.Struct):
    """The pin by which others can invite one."""

    connect_pin: str


class TokenRequest(Incoming, frozen=True):
    """Whom to mint a token for."""

    user_id: HostId
    expires_in_s: Annotated[int, Meta(ge=60, le=30 * DAY_S)] = 3600
    role: Role = "user"


class TokenReply(msgspec.Struct):
    """A bearer token and its end."""

    token: str
    expires_at: Timestamp


class LoginRequest(Incoming, frozen=True):
    """Development only: whom to become. `display_name` counts when the person is new."""

    username: Username
    display_name: DisplayName | None = None


class LoginReply(msgspec.Struct):
    """Who one became."""

    user: Me
    token: str

"""The rules of conversations, as values and pure functions."""

from collections.abc import Mapping
from typing import Literal

import msgspec
import regex

Kind = Literal[
    "text",
    "revision",
    "deletion",
    "reaction",
    "reaction_removed",
    "participant_joined",
    "participant_left",
    "participant_role_changed",
    "channel_archived",
    "channel_reopened",
]
PREVIEW_CHARS = 120
SIGN = regex.compile(r"\X")

GROUP_ROLES = ("admin", "moderator", "member")


class ContextType(msgspec.Struct, frozen=True):
    """What a host's context can be: who takes part in it, and which of them may only read."""

    roles: frozenset[str]
    read_only: frozenset[str] = frozenset()


CONTEXT_TYPES: Mapping[str, ContextType] = {
    "booking": ContextType(
        roles=frozenset(
            {"worker", "supervisor", "borrower_admin", "borrower_manager", "lender_admin", "lender_manager"}
        )
    ),
    "dispute": ContextType(
        roles=frozenset({"claimant", "respondent", "party", "mediator", "observer"}),
        read_only=frozenset({"observer"}),
    ),
}
"""A new type of context is one entry here."""


def may_write(context_type: str | None, role: str) -> bool:
    """Whether a participant in `role` may write, as far as the role goes."""
    kind = CONTEXT_TYPES.get(context_type or "")
    return kind is None or role not in kind.read_only


def may_administer(kind: str, role: str) -> bool:
    """Whether a participant in `role` may change a channel of this kind and its membership."""
    return kind == "group" and role == "admin"


def may_delete_others(kind: str, role: str) -> bool:
    """Whether a participant in `role` may delete messages of others."""
    return kind == "group" and role in {"admin", "moderator"}


class MembershipChange(msgspec.Struct, frozen=True):
    """One step from the present membership to the wanted one; becomes a record of the log."""

    kind: Literal["participant_joined", "participant_left", "participant_role_changed"]
    user_id: str
    role: str | None = None


def membership_changes(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[MembershipChange]:
    """Return what turns `present` into `wanted` (user id → role): leavers, then changes of role, then joiners."""
    left = [MembershipChange("participant_left", user) for user in present if user not in wanted]
    changed = [
        MembershipChange("participant_role_changed", user, role)
        for user, role in wanted.items()
        if user in present and present[user] != role
    ]
    joined = [
        MembershipChange("participant_joined", user, role) for user, role in wanted.items() if user not in present
    ]
    return left + changed + joined


def departure(members: Mapping[str, str], *leaving: str) -> list[MembershipChange]:
    """Return what follows when members leave a group; `members` in the order in which they joined.

    When no admin would be left, who has been there longest takes their place, moderators before members.
    """
    left = [MembershipChange("participant_left", user) for user in leaving]
    rest = {user: role for user, role in members.items() if user not in leaving}
    if not rest or "admin" in rest.values():
        return left
    heir = min(rest, key=lambda user: rest[user] != "moderator")
    return [*left, MembershipChange("participant_role_changed", heir, "admin")]


def preview(content: str) -> str:
    """Return the beginning of a text, on one line, at most `PREVIEW_CHARS` characters; signs are whole or left out."""
    line = " ".join(content.split())
    return line if len(line) <= PREVIEW_CHARS else line[: _end(line, PREVIEW_CHARS - 1)] + "…"


def _end(line: str, limit: int) -> int:
    """Return where the last sign ends that is whole within `limit`: a flag or a family isn't cut in two."""
    if line[: limit + 1].isascii():
        return limit
    ends = (sign.end() for sign in SIGN.finditer(line, endpos=limit + 1))
    return max((end for end in ends if end <= limit), default=limit)

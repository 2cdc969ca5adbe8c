"""The rules of conversations, over everything that they may be given."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.messaging.domain import (
    CONTEXT_TYPES,
    GROUP_ROLES,
    PREVIEW_CHARS,
    MembershipChange,
    departure,
    may_write,
    membership_changes,
    preview,
)

PEOPLE = st.sampled_from([f"u{n}" for n in range(8)])
ROLES = st.sampled_from(["claimant", "respondent", "observer"])
MEMBERSHIPS = st.dictionaries(PEOPLE, ROLES)
GROUPS = st.dictionaries(PEOPLE, st.sampled_from(GROUP_ROLES), min_size=1)


@given(MEMBERSHIPS, MEMBERSHIPS)
def test_the_changes_lead_from_the_present_to_the_wanted(present: dict[str, str], wanted: dict[str, str]) -> None:
    assert applied(present, membership_changes(present, wanted)) == wanted


@given(MEMBERSHIPS, MEMBERSHIPS)
def test_nobody_is_changed_twice_nor_without_need(present: dict[str, str], wanted: dict[str, str]) -> None:
    changed = [change.user_id for change in membership_changes(present, wanted)]
    assert len(changed) == len(set(changed))
    assert set(changed) == {user for user in present.keys() | wanted.keys() if present.get(user) != wanted.get(user)}


@given(MEMBERSHIPS, MEMBERSHIPS)
def test_leavers_hear_nothing_of_what_comes_after_them(present: dict[str, str], wanted: dict[str, str]) -> None:
    kinds = [change.kind for change in membership_changes(present, wanted)]
    order = ["participant_left", "participant_role_changed", "participant_joined"]
    assert kinds == sorted(kinds, key=order.index)


@given(MEMBERSHIPS)
def test_what_is_as_wanted_needs_no_record(present: dict[str, str]) -> None:
    assert membership_changes(present, dict(reversed(present.items()))) == []


@given(GROUPS, st.data())
def test_who_is_left_in_a_group_has_an_admin_and_nobody_else_changes(
    group: dict[str, str], data: st.DataObject
) -> None:
    leaver = data.draw(st.sampled_from(list(group)))
    after = applied(group, departure(group, leaver))
    assert after.keys() == group.keys() - {leaver}
    assert not after or "admin" in after.values()
    promoted = [user for user in after if after[user] != group[user]]
    assert len(promoted) <= 1
    if promoted:
        rest = [user for user in group if user != leaver]
        moderators = [user for user in rest if group[user] == "moderator"]
        assert promoted == (moderators or rest)[:1]


def test_only_observers_are_silent() -> None:
    silent = {
        (kind, role) for kind, rules in CONTEXT_TYPES.items() for role in rules.roles if not may_write(kind, role)
    }
    assert silent == {("dispute", "observer")}
    assert may_write(None, "member"), "a channel without a context has no read-only roles"


@pytest.mark.parametrize("sign", ["🇩🇪", "👨‍👩‍👧‍👦", "👍🏽", "é", "हि", "x"])
def test_a_preview_cuts_no_sign_in_two(sign: str) -> None:
    whole = preview(sign * PREVIEW_CHARS * 2).removesuffix("…")
    assert whole == sign * (len(whole) // len(sign))
    assert PREVIEW_CHARS - len(sign) <= len(whole) < PREVIEW_CHARS


def test_a_preview_of_a_sign_without_end_has_an_end() -> None:
    assert len(preview("e" + "\u0301" * 1000)) == PREVIEW_CHARS


@given(st.text())
def test_a_preview_is_short_and_on_one_line(content: str) -> None:
    short = preview(content)
    assert len(short) <= PREVIEW_CHARS
    assert len(short.splitlines()) <= 1
    assert " ".join(content.split()).startswith(short.removesuffix("…"))


def applied(present: Mapping[str, str], changes: list[MembershipChange]) -> dict[str, str]:
    """Carry out changes, each of which must be possible."""
    members = dict(present)
    for change in changes:
        assert (change.user_id in members) == (change.kind != "participant_joined")
        if change.role is None:
            del members[change.user_id]
        else:
            assert members.get(change.user_id) != change.role
            members[change.user_id] = change.role
    return members

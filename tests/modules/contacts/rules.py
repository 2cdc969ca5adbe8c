"""The rules of contacts and invitations, told a second time: plainly, of a handful of people, with nothing at once."""

from itertools import combinations

import msgspec

Pair = frozenset[str]
Answer = tuple[int, str]
"""A status, and the problem; empty for a success."""

OK, MADE = (200, ""), (201, "")
NOBODY = (404, "person-not-found")


class Invitation(msgspec.Struct):
    """An invitation; `group`: the maker of the group that it is into, None for one of a contact."""

    invitor: str
    invitee: str
    group: str | None = None
    status: str = "pending"
    reminded: bool = False

    @property
    def pair(self) -> Pair:
        """Its two people."""
        return frozenset({self.invitor, self.invitee})


class Rules:
    """What has happened, and what follows from it."""

    def __init__(self, people: list[str]) -> None:
        self.people = people
        self.contacts: set[Pair] = set()
        self.blocks: set[tuple[str, str]] = set()
        self.members = {one: {one} for one in people}
        """Of the group that each has made."""
        self.invitations: list[Invitation] = []
        self.talked: set[Pair] = set()
        """Who has a direct channel."""

    def invite(self, one: str, other: str, group: str | None = None) -> Answer:
        """Invite somebody."""
        if (one, other) in self.blocks:
            return 409, "blocked-by-you"
        if one == other or (other, one) in self.blocks:
            return NOBODY
        refusal = self._refusal(one, other, group)
        if refusal is not None:
            return refusal
        mutual = self._pending(other, one) if group is None else None
        if mutual is not None:
            self._end(mutual, "accepted")
            return OK
        self.invitations.append(Invitation(one, other, group))
        return MADE

    def answer(self, who: str, invitation: Invitation, action: str) -> Answer:
        """Accept, decline, revoke or remind."""
        if who not in invitation.pair:
            return 404, "not-found"
        if who != (invitation.invitee if action in {"accept", "decline"} else invitation.invitor):
            return 403, "forbidden"
        end = {"accept": "accepted", "decline": "declined", "revoke": "revoked"}.get(action)
        if invitation.status == end:
            return OK
        if invitation.status != "pending":
            return 409, "invite-closed"
        if end is not None:
            self._end(invitation, end)
        elif invitation.reminded:
            return 409, "reminded-too-often"
        else:
            invitation.reminded = True
        return OK

    def remove(self, one: str, other: str) -> Answer:
        """End a contact."""
        if frozenset({one, other}) not in self.contacts:
            return 404, "not-found"
        self.contacts.remove(frozenset({one, other}))
        return 204, ""

    def block(self, one: str, other: str) -> Answer:
        """Block somebody."""
        self.blocks.add((one, other))
        self.contacts.discard(frozenset({one, other}))
        for invitation in self.invitations:
            if invitation.pair == {one, other} and invitation.status == "pending":
                self._end(invitation, "revoked" if invitation.invitor == one else "declined")
        return 204, ""

    def unblock(self, one: str, other: str) -> Answer:
        """Unblock somebody."""
        self.blocks.discard((one, other))
        return 204, ""

    def open(self, one: str, other: str) -> Answer:
        """Open the direct channel."""
        pair = frozenset({one, other})
        if pair not in self.contacts:
            return 403, "not-contacts"
        was_there = pair in self.talked
        self.talked.add(pair)
        return OK if was_there else MADE

    def write(self, one: str, other: str) -> Answer:
        """Write in the direct channel, which there is."""
        return MADE if frozenset({one, other}) in self.contacts else (409, "channel-closed")

    def received(self, who: str) -> list[Invitation]:
        """Return what waits for somebody's answer."""
        return [one for one in self.invitations if one.invitee == who and one.status == "pending"]

    def contacts_of(self, who: str) -> set[str]:
        """Return somebody's contacts."""
        return {other for pair in self.contacts if who in pair for other in pair - {who}}

    def broken(self) -> list[str]:
        """Return what must never be."""
        waiting = [one for one in self.invitations if one.status == "pending" and one.group is None]
        return [
            *("two invitations wait" for one, other in combinations(waiting, 2) if one.pair == other.pair),
            *("a contact is invited" for one in waiting if one.pair in self.contacts),
            *("a block is no block" for one in self.blocks if frozenset(one) in self.contacts),
        ]

    def _refusal(self, one: str, other: str, group: str | None) -> Answer | None:
        if group is not None:
            return self._group_refusal(other, group)
        if frozenset({one, other}) in self.contacts:
            return 409, "already-contacts"
        if self._pending(other, one):
            return None
        if self._pending(one, other):
            return 409, "already-invited"
        before = [i for i in self.invitations if (i.invitor, i.invitee, i.group) == (one, other, None)]
        return (409, "declined-before") if any(i.status == "declined" for i in before) else None

    def _group_refusal(self, other: str, group: str) -> Answer | None:
        if other in self.members[group]:
            return 409, "already-member"
        return (409, "already-invited") if any(i.group == group for i in self.received(other)) else None

    def _pending(self, one: str, other: str) -> Invitation | None:
        waiting = [i for i in self.received(other) if i.invitor == one and i.group is None]
        return waiting[0] if waiting else None

    def _end(self, invitation: Invitation, status: str) -> None:
        invitation.status = status
        if status == "accepted" and invitation.group is not None:
            self.members[invitation.group].add(invitation.invitee)
        elif status == "accepted":
            self.contacts.add(invitation.pair)

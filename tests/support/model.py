"""What a group is to do, said a second time and in the fewest words: the rules of its members, without storage."""


class Group:
    """A group's members in the order in which they joined. Each call returns the status that it is answered with."""

    def __init__(self, members: dict[str, str]) -> None:
        self.members = members
        self.archived = False

    def add(self, who: str, whom: str, role: str) -> int:
        """Somebody adds another."""
        if refusal := self._refusal(who) or (self.archived and 409):
            return refusal
        if whom in self.members:
            return 200 if self.members[whom] == role else 409
        self.members[whom] = role
        return 201

    def make(self, who: str, whom: str, role: str) -> int:
        """Somebody gives another a role."""
        if refusal := self._refusal(who) or (self.archived and 409):
            return refusal
        if whom not in self.members:
            return 404
        if "admin" not in {**self.members, whom: role}.values():
            return 409
        self.members[whom] = role
        return 200

    def remove(self, who: str, whom: str) -> int:
        """Somebody takes another out, or leaves."""
        if who not in self.members:
            return 404
        if who != whom and (refusal := self._refusal(who) or (self.archived and 409)):
            return refusal
        if whom not in self.members:
            return 404
        del self.members[whom]
        if self.members and "admin" not in self.members.values():
            moderators = [name for name, role in self.members.items() if role == "moderator"]
            self.members[(moderators or list(self.members))[0]] = "admin"
        self.archived = self.archived or not self.members
        return 204

    def set(self, who: str, status: str) -> int:
        """Somebody archives or reopens it."""
        if refusal := self._refusal(who):
            return refusal
        self.archived = status == "archived"
        return 200

    def _refusal(self, who: str) -> int:
        if who not in self.members:
            return 404
        return 0 if self.members[who] == "admin" else 403

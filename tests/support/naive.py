"""A channel as it should be, kept in the most naive way: nothing is counted before it is asked for."""

from typing import NamedTuple

import msgspec


class Text(msgspec.Struct):
    """A message."""

    id: str
    seq: int
    sender: str
    content: str
    deleted: bool = False
    reactions: set[tuple[str, str]] = msgspec.field(default_factory=set)


class Place(msgspec.Struct):
    """Somebody's place in the channel; it is kept when they leave."""

    present: bool = True
    joined: int = 0
    delivered: int = 0
    read: int = 0


class Stretch(NamedTuple):
    """What there is for somebody in a stretch of the log: unread, from whom, deleted before they read it, and the first
    unread one.
    """

    unread: int
    senders: list[str]
    deleted: int
    first: int | None


class NaiveChannel:
    """A log of which only the length is kept, its texts, and people's places."""

    def __init__(self, *founders: str) -> None:
        self.last_seq = 0
        self.texts: list[Text] = []
        self.places = {name: Place() for name in founders}

    @property
    def present(self) -> list[str]:
        """Who takes part."""
        return [name for name, place in self.places.items() if place.present]

    def say(self, message_id: str, sender: str, content: str) -> None:
        """Append a text."""
        self.last_seq += 1
        self.texts.append(Text(message_id, self.last_seq, sender, content))

    def join(self, name: str) -> None:
        """Let somebody in, or in again."""
        self.last_seq += 1
        place = self.places.setdefault(name, Place())
        place.present, place.joined = True, self.last_seq

    def leave(self, name: str) -> None:
        """Take somebody out."""
        self.last_seq += 1
        self.places[name].present = False

    def mark(self, name: str, seq: int, *, read: bool) -> None:
        """Move somebody's marks."""
        place, reached = self.places[name], min(seq, self.last_seq)
        place.delivered = max(place.delivered, reached)
        if read:
            place.read = max(place.read, reached)

    def stretch(self, name: str, first: int, last: int) -> Stretch:
        """Return what there is for somebody from `first` to `last`."""
        place = self.places[name]
        new = [text for text in self._new(name, place) if first <= text.seq <= last]
        left = [text for text in new if not text.deleted]
        senders = list(dict.fromkeys(text.sender for text in reversed(left)))[::-1]
        return Stretch(len(left), senders, len(new) - len(left), left[0].seq if left else None)

    def newest_unread(self, name: str) -> Text | None:
        """Return the newest message that somebody has yet to read."""
        left = [text for text in self._new(name, self.places[name]) if not text.deleted]
        return left[-1] if left else None

    def _new(self, name: str, place: Place) -> list[Text]:
        return [text for text in self.texts if text.seq > max(place.read, place.joined) and text.sender != name]

    def unread(self, name: str) -> int:
        """Return how many messages somebody has yet to read."""
        return self.stretch(name, 1, self.last_seq).unread

"""Which record of which channel comes next. Knows nothing of sockets.

Guarantees: from where a channel starts on, `take` lets each record through once, in the order of seqs. What it doesn't
let through because something before it is missing is named by `behind`, until it came after all.
"""

from collections.abc import Iterable, Mapping

from parley_client.frames import ParticipantJoined, Ready, Record, Reset, Resumed

MAX_EARLY = 1_000
"""Own records of a channel that may wait for those before them."""


class Sequencer:
    """The places of all channels.

    `yielded` is how far the application is; records that it has yet to ask for are taken, and not yielded yet.
    """

    def __init__(self, positions: Mapping[str, int] | None, epoch: str | None, *, from_beginning: bool) -> None:
        self.epoch = epoch or ""
        self.yielded_epoch = self.epoch
        self.yielded = dict(positions or {})
        self.behind: set[str] = set()
        self._taken = dict(self.yielded)
        self._early: dict[str, dict[int, Record]] = {}
        self._from_beginning = from_beginning
        self._has_past = positions is not None
        self._user_id = ""
        self._unnamed_channels = False

    def join(self, ready: Ready) -> Reset | None:
        """Take in where the channels are. Those that are new since the last time start at their beginning."""
        self._user_id = ready.user_id
        self._unnamed_channels = ready.more
        self._early.clear()
        other_history = self.epoch not in {"", ready.epoch}
        self.epoch = ready.epoch
        heads = {head.channel_id: head.last_seq for head in ready.channels}
        if other_history:
            return self._restart(heads)
        self.yielded_epoch = self.yielded_epoch or ready.epoch
        for channel_id, last_seq in heads.items():
            self.start(channel_id, 0 if self._has_past else last_seq)
        self._has_past = True
        self.behind = {channel_id for channel_id, head in heads.items() if self._taken[channel_id] != head}
        if ready.more:
            self.behind |= self._taken.keys() - heads.keys()
        return None

    def start(self, channel_id: str, after_seq: int) -> None:
        """Begin a channel there, unless it has begun; at its beginning if everything is wanted."""
        if channel_id not in self._taken:
            self._taken[channel_id] = self.yielded[channel_id] = 0 if self._from_beginning else after_seq

    def note(self, record: Record) -> None:
        """Remember that a record is there which can't be taken now."""
        self._begin(record)
        if record.seq > self._taken[record.channel_id]:
            self.behind.add(record.channel_id)

    def take(self, record: Record, *, own: bool = False) -> list[Record]:
        """Return what comes next now: nothing, the record, or it with the own ones that were waiting for it.

        An own record, told by its acknowledgement, may overtake one of somebody else; it waits for that.
        """
        self._begin(record)
        channel_id, last = record.channel_id, self._taken[record.channel_id]
        if record.seq > last + 1:
            self._miss(record, own=own)
        if record.seq != last + 1:
            return []
        taken, early = [record], self._early.get(channel_id, {})
        while (after := early.pop(taken[-1].seq + 1, None)) is not None:
            taken.append(after)
        self._taken[channel_id] = taken[-1].seq
        return taken

    def asking(self, most: int) -> dict[str, int]:
        """Return some of the channels that are behind, and the last record of each."""
        return {channel_id: self._taken[channel_id] for channel_id in list(self.behind)[:most]}

    def resumed(self, asked: Mapping[str, int], frame: Resumed) -> Reset | None:
        """Take in the answer to `asked`. A channel that isn't in it is none of the user's any more."""
        heads = {head.channel_id: head.last_seq for head in frame.channels}
        if frame.reset:
            return self._restart(self._taken | heads)
        for channel_id in asked:
            if self._taken.get(channel_id, 0) >= heads.get(channel_id, 0):
                self.behind.discard(channel_id)
        return None

    def progressed(self, asked: Mapping[str, int]) -> bool:
        """Whether any of the channels moved on since it was asked for."""
        return any(self._taken.get(channel_id, 0) > after for channel_id, after in asked.items())

    @property
    def is_waiting(self) -> bool:
        """Whether own records wait for those before them."""
        return any(self._early.values())

    def stop_waiting(self) -> None:
        """What own records have waited for is missing."""
        self.behind |= {channel_id for channel_id, early in self._early.items() if early}

    def hand_over(self, event: Record | Reset) -> None:
        """Note that the application has it now."""
        if isinstance(event, Reset):
            self.yielded, self.yielded_epoch = dict(event.positions), event.epoch
        else:
            self.yielded[event.channel_id] = event.seq

    def rewind(self, unread: Iterable[Record | Reset]) -> None:
        """Forget that records were taken which the application never asked for."""
        for event in unread:
            if isinstance(event, Record):
                place = self._taken.get(event.channel_id, 0)
                self._taken[event.channel_id] = min(place, event.seq - 1)
                self.behind.add(event.channel_id)
        self._early.clear()

    def _restart(self, heads: Mapping[str, int]) -> Reset:
        self._taken = dict.fromkeys(heads, 0) if self._from_beginning else dict(heads)
        self.behind = {channel_id for channel_id, head in heads.items() if self._taken[channel_id] != head}
        self._early.clear()
        return Reset(epoch=self.epoch, positions=dict(self._taken))

    def _begin(self, record: Record) -> None:
        """A channel never heard of is new, or somebody added the user to it, or it wasn't among those named."""
        if record.channel_id not in self._taken:
            joins = isinstance(record, ParticipantJoined) and record.user_id == self._user_id
            self.start(record.channel_id, record.seq - 1 if joins or self._unnamed_channels else 0)

    def _miss(self, record: Record, *, own: bool) -> None:
        early = self._early.setdefault(record.channel_id, {}) if own else {}
        if own and len(early) < MAX_EARLY:
            early[record.seq] = record
        else:
            self.behind.add(record.channel_id)

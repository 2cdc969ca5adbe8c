"""What devices heard, held against the log: every frame, every mark, and who may hear what."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.simulation.people import Device
from tests.simulation.truth import Story
from tests.support.chat import Frame
from tests.support.log import Log


class Hearing:
    """Checks frames against stories that were read after they came."""

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self._stories = stories
        self._expected: dict[tuple[str, int], Frame] = {}

    def faults(self, device: Device, frames: Iterable[str]) -> Iterator[str]:
        """Yield what a device should not have been told."""
        for text in frames:
            for fault in self._about(device, json.loads(text)):
                yield f"{fault}, told to {device.user}: {text[:300]}"

    def _about(self, device: Device, frame: Frame) -> Iterator[str]:
        if frame["type"] == "error" and frame["problem"]["status"] in {400, 500}:
            yield "error: this should not happen"
        if frame["type"] == "receipt":
            yield from self._receipt(frame)
        if "seq" in frame:
            yield from self._record(device, frame)

    def _receipt(self, frame: Frame) -> Iterator[str]:
        """What was told of by two instances comes in any order, but nobody was ever further than they are."""
        place = self._stories[frame["channel_id"]].places[frame["user_id"]]
        if frame["last_delivered_seq"] > place.delivered or frame["last_read_seq"] > place.read:
            yield f"marks: back, they are {place.delivered} and {place.read}"

    def _record(self, device: Device, frame: Frame) -> Iterator[str]:
        story, seq = self._stories.get(frame["channel_id"]), frame["seq"]
        if story is None or not 1 <= seq <= story.log.last_seq:
            yield "untrue: there is no such record"
        elif frame["type"] == "ack":
            yield from self._ack(story, frame)
        elif without_reactions(frame) not in self._told_by(story, seq):
            yield f"untrue: it is {self._frame(story.log, seq)}"
        if story and device.user not in story.members and seq > story.left.get(device.user, 0):
            yield "overheard: they had left"

    def _ack(self, story: Story, frame: Frame) -> Iterator[str]:
        """What is acknowledged is there, as it was, or as it became."""
        message = frame["message"]
        text = story.texts.get(message["id"])
        if text is None:
            yield "untrue: there is no such message"
        elif message["content"] not in {version.content for version in text.versions} | {text.content}:
            yield f"untrue: it says {text.content}"

    def _told_by(self, story: Story, seq: int) -> list[Frame]:
        """Return the ways in which a record may be told: deleted messages say nothing when they are told again."""
        frame = self._frame(story.log, seq)
        message = frame.get("message")
        text = story.texts.get(message["id"]) if message else None
        if text is None or text.deleted is None:
            return [frame]
        told_again: dict[str, Any] = {
            **(message or {}), "content": "", "is_deleted": True, "deleted_at": moment(text.deleted.created_at),
        }  # fmt: skip
        return [frame, frame | {"message": told_again}]

    def _frame(self, log: Log, seq: int) -> Frame:
        key = (log.channel_id, seq)
        if key not in self._expected:
            self._expected[key] = without_reactions(log.frame(seq))
        return self._expected[key]


def without_reactions(frame: Frame) -> Frame:
    """Leave out the reactions of a message: a record that is told again has those of the present."""
    message = frame.get("message")
    return frame if message is None else frame | {"message": message | {"reactions": []}}


def moment(at: datetime) -> str:
    """Return a moment as it is told."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

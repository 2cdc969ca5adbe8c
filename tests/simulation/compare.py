"""Everything that anybody sees or was told, held against the log."""

import asyncio
from collections.abc import Iterator, Mapping

import asyncpg

from tests.simulation import answers
from tests.simulation.heard import Hearing
from tests.simulation.people import Crowd, Device, Done
from tests.simulation.truth import Story, Text, stories
from tests.simulation.view import ChannelView, Shown
from tests.support.log import damage
from tests.support.servers import Server

SLACK_S = 5.0
"""Between the moment that a record names and its commit."""
HEADS = """
SELECT p.user_id, c.id::text, c.last_seq FROM chat_channels c
JOIN chat_participants p ON p.channel_id = c.id AND p.left_seq IS NULL WHERE p.user_id = ANY($1::text[])
"""
MAY_BE_REFUSED = {
    "send": {403, 404, 409},
    "revise": {403, 404, 409},
    "delete": {403, 404, 409},
    "react": {403, 404, 409},
    "unreact": {403, 404, 409},
    "read": {404},
    "delivered": {404},
    "mute": {404},
    "open": set[int](),
    "context": set[int](),
    "add": {403, 404, 409},
    "remove": {403, 404, 409},
    "role": {403, 404, 409},
    "title": {403, 404, 409},
    "status": {403, 404, 409},
}
ANSWERED = {0, 200, 201, 204}


async def differences(crowd: Crowd) -> list[str]:
    """Let everybody settle, and return what isn't as the log has it."""
    faults = [*await _unsettled(crowd)]
    heard = [(device, device.take()) for device in crowd.everybody]
    told = await stories(crowd.world.dsn, crowd.users)
    faults += [fault for story in told.values() for fault in _of_log(story)]
    hearing = Hearing(told)
    for device, frames in heard:
        faults += [*_of_device(device, told), *hearing.faults(device, frames)]
    for done in crowd.done:
        faults += _of_answer(crowd, done, told)
    faults += [f"failed: {line}" for server in crowd.world.servers for line in _failures(server)]
    return faults or await _unlike_answers(crowd, told)


async def _unlike_answers(crowd: Crowd, told: Mapping[str, Story]) -> list[str]:
    """Return what HTTP says otherwise. Marks that nobody answers for may still be on their way: then ask again."""
    while faults := await answers.differences(crowd, told):
        now = await stories(crowd.world.dsn, crowd.users)
        if all(now[channel].places == story.places for channel, story in told.items()):
            break
        told = now
    return faults


def _failures(server: Server) -> Iterator[str]:
    """Yield what a server says went wrong with itself: none of the troubles is a reason for that."""
    for line in server.log.read_text().splitlines():
        if '"level": "error"' in line or line.startswith("Traceback"):
            yield line[:500]


async def _unsettled(crowd: Crowd) -> list[str]:
    """Wait until every device is where the logs of its channels end."""
    connection = await asyncpg.connect(crowd.world.dsn)
    behind: list[str] = []
    try:
        async with asyncio.timeout(crowd.world.patience_s):
            while behind := [*_behind(crowd, await connection.fetch(HEADS, list(crowd.users.values())))]:
                await asyncio.sleep(0.05)
    except TimeoutError:
        return behind
    finally:
        await connection.close()
    return []


def _behind(crowd: Crowd, heads: list[asyncpg.Record]) -> Iterator[str]:
    for device in crowd.everybody:
        for user, channel, last_seq in heads:
            here = device.view.channels[channel].last_seq if user == device.user else last_seq
            if here != last_seq:
                yield f"missing: {user} at {device.url} has {here} of {last_seq} in {channel} {device.failure}"


def _of_log(story: Story) -> Iterator[str]:
    channel = story.log.channel_id
    yield from (f"damage: {fault} in {channel}" for fault in [*damage(story.log), *story.faults])
    places = {user: (p.role, p.joined_seq) for user, p in story.places.items() if p.left_seq is None}
    expected = {user: (role, story.joined[user]) for user, role in story.members.items()}
    if places != expected:
        yield f"places: they are {places} and should be {expected} in {channel}"
    for user, place in story.places.items():
        if not 0 <= place.read <= place.delivered <= story.log.last_seq:
            yield f"marks: {user} is at {place} of {story.log.last_seq} in {channel}"


def _of_device(device: Device, told: Mapping[str, Story]) -> Iterator[str]:
    yield from (f"view: {fault}; {device.user} at {device.url}" for fault in device.view.faults)
    for channel, view in device.view.channels.items():
        story = told.get(channel)
        if story is not None and device.user in story.members:
            yield from (f"view: {fault}; {device.user} at {device.url}" for fault in _of_view(view, story))


def _of_view(view: ChannelView, story: Story) -> Iterator[str]:
    for message, text in story.texts.items():
        shown = view.messages.get(message)
        expected = _shown(text)
        if shown is None or not _same(shown, expected):
            yield f"{message} ({text.record.seq}) is {shown} and should be {expected}"
    if len(view.messages) != len(story.texts):
        yield f"{len(view.messages)} messages, not {len(story.texts)}"
    known = {user: story.members.get(user) for user in view.people}
    if known != view.people or view.archived != story.archived:
        yield f"people and status are {view.people}, {view.archived} and should be {known}, {story.archived}"


def _shown(text: Text) -> Shown:
    revision = len(text.versions) - 1
    return Shown(text.record.sender_id or "", text.content, revision, text.deleted is not None, set(text.reactions))


def _same(shown: Shown, expected: Shown) -> bool:
    """Whether they are; nobody sees the reactions to what is deleted."""
    return shown == expected or (shown.deleted and expected.deleted and shown.content == expected.content == "")


def _of_answer(crowd: Crowd, done: Done, told: Mapping[str, Story]) -> Iterator[str]:
    """Check that an answer is one that there may be, and that what was accepted is there, once."""
    what = f"step {done.step.number}, {done.step.what} by {done.step.way}: {done.status} {done.problem}"
    if done.ended == 0.0:
        yield f"hangs: {what}"
    elif done.status not in ANSWERED | MAY_BE_REFUSED[done.step.what] or "client-id" in done.problem:
        yield f"refused: {what} {done.body}"
    elif done.status in {200, 201} and done.step.what in {"send", "revise"}:
        client_id = f"step {done.step.number}"
        records = [r for s in told.values() for r in s.log.records if r.client_id == client_id]
        if [(r.sender_id, r.content) for r in records] != [(done.user, done.step.value)]:
            yield f"lost: {what}, and the log has {[(r.seq, r.sender_id, r.content) for r in records]}"
    elif done.status in {200, 201} and done.step.what in {"read", "delivered"}:
        yield from _of_marks(crowd, what, done, told[done.body["channel_id"]])
    story = told.get(crowd.channels.get(done.step.channel, ""))
    if story is not None and done.step.what in {"send", "read", "delivered", "mute"}:
        yield from _of_refusal(what, done, story)


def _of_marks(crowd: Crowd, what: str, done: Done, story: Story) -> Iterator[str]:
    """Check that marks are nowhere before where they were said to be: now, and whenever it was asked afterwards."""
    place = story.places[done.user]
    later = [_marks(other) for other in crowd.done if _is_after(other, done)]
    for delivered, read in [(place.delivered, place.read), *later]:
        if delivered < _marks(done)[0] or read < _marks(done)[1]:
            yield f"marks: back, {what} was answered by {done.body}, and later they are {delivered}, {read}"


def _is_after(other: Done, done: Done) -> bool:
    """Whether it is about the same marks, and was begun when the other was over."""
    same = other.user == done.user and other.body.get("channel_id") == done.body["channel_id"]
    return same and "last_read_seq" in other.body and other.began > done.ended


def _marks(done: Done) -> tuple[int, int]:
    return done.body["last_delivered_seq"], done.body["last_read_seq"]


def _of_refusal(what: str, done: Done, story: Story) -> Iterator[str]:
    """Check that there was a reason at some time while it was asked."""
    began, ended = done.began - SLACK_S, done.ended + SLACK_S
    if began < story.created_at.timestamp():
        return
    roles, statuses = story.states(done.user, began, ended), story.states("", began, ended)
    reasons = {403: "observer" in roles, 404: None in roles, 409: "archived" in statuses}
    if not reasons.get(done.status, True):
        yield f"refused without a reason: {what}; in the roles {roles}, {statuses}"

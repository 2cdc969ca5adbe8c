"""What HTTP answers and `ready` says, held against the log, for everybody at every instance."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulation.heard import moment
from tests.simulation.people import Crowd, Device
from tests.simulation.truth import Story, Text
from tests.support.chat import chat

Stories = Mapping[str, Story]
SEARCHED = ("cargo", "freight")


async def differences(crowd: Crowd, stories: Stories) -> list[str]:
    """Return what is answered that isn't so."""
    faults = await asyncio.gather(*(_asked(device, stories, crowd.world.patience_s) for device in crowd.everybody))
    return [fault for some in faults for fault in some]


async def _asked(device: Device, stories: Stories, patience_s: float) -> list[str]:
    own = {channel: story for channel, story in stories.items() if device.user in story.members}
    faults = [*await _inbox(device, own), *await _ready(device, own)]
    for channel, story in stories.items():
        if channel in own:
            faults += await _channel(device, channel, story)
        else:
            faults += await _nothing(device, channel, story)
    for word in SEARCHED:
        faults += await _search(device, word, own, patience_s)
    return [f"{fault}; {device.user} at {device.url}" for fault in faults]


async def _inbox(device: Device, own: Stories) -> list[str]:
    pages = [await _pages(device, "/api/channels", archived=archived) for archived in ("false", "true")]
    told = {item["id"]: item for page in pages for item in page}
    faults = list(_unlike("inbox", sorted(told), sorted(own)))
    for page in pages:
        order = [(own[item["id"]].active_at, item["id"]) for item in page if item["id"] in own]
        faults += _unlike("inbox order", order, sorted(order, reverse=True))
    for channel, item in told.items():
        if channel in own:
            faults += _unlike(f"inbox, {channel}", _told_of(item), _entry(own[channel], device.user))
    return faults


def _told_of(item: dict[str, Any]) -> dict[str, Any]:
    last = item["last_message"]
    return {
        **{name: item[name] for name in ("kind", "status", "last_seq", "participant_count", "unread_count")},
        "last_read_seq": item["last_read_seq"],
        "muted": item["muted_until"] is not None,
        "last": last and (last["id"], last["seq"], last["preview"], last["is_deleted"], last["sender"]["user_id"]),
    }


def _entry(story: Story, user: str) -> dict[str, Any]:
    last = max(story.texts.values(), key=lambda text: text.record.seq, default=None)
    return {
        "kind": story.kind,
        "status": "archived" if story.archived else "active",
        "last_seq": story.log.last_seq,
        "participant_count": len(story.members),
        "unread_count": story.unread(user),
        "last_read_seq": story.places[user].read,
        "muted": story.places[user].muted,
        "last": last and (
            str(last.record.id), last.record.seq, last.content, last.deleted is not None, last.record.sender_id,
        ),
    }  # fmt: skip


async def _ready(device: Device, own: Stories) -> list[str]:
    async with chat(f"{device.url.replace('http', 'ws')}/ws/chat", device.token) as socket:
        heads = socket.ready["channels"]
    told = {h["channel_id"]: (h["last_seq"], h["last_read_seq"], h["unread_count"]) for h in heads}
    user = device.user
    return list(
        _unlike("ready", told, {c: (s.log.last_seq, s.places[user].read, s.unread(user)) for c, s in own.items()})
    )


async def _channel(device: Device, channel: str, story: Story) -> list[str]:
    status, told = await device.http.ask("GET", f"/api/channels/{channel}")
    faults = [*_unlike(f"channel {channel}", status, 200), *_people(channel, story, told.get("participants", []))]
    messages = await _messages(device, channel)
    expected = [_message(text, story, device.user) for text in story.texts.values()]
    faults += _unlike_all(f"messages of {channel}", messages, expected)
    faults += _unlike_all(f"log of {channel}", await _log(device, channel), [*_records(story)])
    for message, text in story.texts.items():
        if len(text.versions) > 1:
            faults += await _revisions(device, message, text)
    return faults


def _people(channel: str, story: Story, told: list[dict[str, Any]]) -> Iterator[str]:
    fields = ("user_id", "role", "last_delivered_seq", "last_read_seq")
    order = sorted(story.members, key=lambda user: (story.joined[user], user))
    places = [(story.places[user], user) for user in order]
    expected = [(user, story.members[user], place.delivered, place.read) for place, user in places]
    yield from _unlike(f"people of {channel}", [tuple(one[field] for field in fields) for one in told], expected)


async def _nothing(device: Device, channel: str, story: Story) -> list[str]:
    """Who isn't in it gets nothing."""
    paths = [f"/api/channels/{channel}{path}" for path in ("", "/messages", "/log")]
    paths += [f"/api/messages/{message}/revisions" for message in [*story.texts][:1]]
    answers = [await device.http.ask("GET", path) for path in paths]
    return [fault for path, (status, _) in zip(paths, answers, strict=True) for fault in _unlike(path, status, 404)]


async def _messages(device: Device, channel: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while True:
        after = messages[-1]["seq"] if messages else 0
        _, page = await device.http.ask("GET", f"/api/channels/{channel}/messages", after_seq=after, limit=100)
        if not page.get("items"):
            return messages
        messages += page["items"]


async def _log(device: Device, channel: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    while True:
        _, page = await device.http.ask("GET", f"/api/channels/{channel}/log", after_seq=len(records), limit=500)
        if not page.get("items"):
            return records
        records += [_shown_of(item) for item in page["items"]]


def _shown_of(item: dict[str, Any]) -> dict[str, Any]:
    fields = ("seq", "id", "kind", "content", "client_id", "target_id", "details", "hash", "created_at")
    sender = item["sender"] and item["sender"]["user_id"]
    return {"sender": sender, **{field: item[field] for field in fields if field in item}}


def _records(story: Story) -> Iterator[dict[str, Any]]:
    for record in story.log.records:
        text = story.texts.get(str(record.target_id or record.id))
        hidden = text is not None and text.deleted is not None and record.content is not None
        told = {
            "sender": record.sender_id,
            "seq": record.seq,
            "id": str(record.id),
            "kind": record.kind,
            "content": "" if hidden else record.content,
            "client_id": record.client_id,
            "target_id": record.target_id and str(record.target_id),
            "details": record.details,
            "hash": record.hash.hex(),
            "created_at": moment(record.created_at),
        }
        yield {field: value for field, value in told.items() if value is not None or field == "sender"}


def _message(text: Text, story: Story, user: str) -> dict[str, Any]:
    record, newest = text.record, text.versions[-1]
    told = {
        "id": str(record.id),
        "channel_id": str(record.channel_id),
        "seq": record.seq,
        "kind": "text",
        "sender": {
            "user_id": record.sender_id,
            "username": record.sender_username,
            "display_name": record.sender_display_name,
        },
        "content": text.content,
        "content_type": "text/plain",
        "client_id": record.client_id,
        "created_at": moment(record.created_at),
        "revision": len(text.versions) - 1,
        "edited_at": moment(newest.created_at) if newest is not record else None,
        "is_deleted": text.deleted is not None,
        "deleted_at": text.deleted and moment(text.deleted.created_at),
        "reactions": [] if text.deleted else [*_reactions(text)],
        "status": _status(record.seq, story, user) if record.sender_id == user else None,
    }
    return {field: value for field, value in told.items() if value is not None}


def _reactions(text: Text) -> Iterator[dict[str, Any]]:
    """By the age of the oldest of each emoji."""
    for emoji in dict.fromkeys(emoji for emoji, _ in text.reactions):
        yield {"emoji": emoji, "user_ids": [user for other, user in text.reactions if other == emoji]}


def _status(seq: int, story: Story, user: str) -> str:
    """What was there before somebody joined doesn't wait for them."""
    others = [story.places[other] for other in story.members if other != user and story.joined[other] < seq]
    if len(story.members) > 1 and all(place.read >= seq for place in others):
        return "read"
    return "delivered" if len(story.members) > 1 and all(place.delivered >= seq for place in others) else "sent"


async def _revisions(device: Device, message: str, text: Text) -> list[str]:
    _, page = await device.http.ask("GET", f"/api/messages/{message}/revisions", limit=100)
    told = [(one["revision"], one["seq"], one["content"]) for one in page["items"]]
    expected = [(n, v.seq, "" if text.deleted else v.content) for n, v in enumerate(text.versions)]
    return list(_unlike(f"revisions of {message}", told, expected))


async def _search(device: Device, word: str, own: Stories, patience_s: float) -> list[str]:
    """Everything that says it now is found, newest first; the index may take a while."""
    expected = {message for s in own.values() for message, text in s.texts.items() if word in text.content}
    found: list[str] = []
    try:
        async with asyncio.timeout(patience_s):
            while set(found) != expected or len(found) != len(expected):
                found = [item["message"]["id"] for item in await _pages(device, "/api/search", q=word, limit=50)]
    except TimeoutError:
        return list(_unlike(f"search for {word}", sorted(found), sorted(expected)))
    return []


async def _pages(device: Device, path: str, **parameters: str | int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        _, page = await device.http.ask("GET", path, cursor=cursor, **parameters)
        items += page.get("items", [])
        cursor = page.get("next")
        if cursor is None:
            return items


def _unlike(what: str, told: object, expected: object) -> Iterator[str]:
    if told != expected:
        yield f"{what}: is told as {told} and is {expected}"


def _unlike_all(what: str, told: list[Any], expected: list[Any]) -> Iterator[str]:
    """Name the first that is otherwise."""
    for one, other in zip(told, expected, strict=False):
        if one != other:
            yield f"{what}: is told as {one} and is {other}"
            return
    yield from _unlike(f"{what}, how many", len(told), len(expected))

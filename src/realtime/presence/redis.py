"""Presence over many instances, in Redis.

Overview: each instance keeps one hash, `parley:devices:{instance}`: user id → its sighting. A beat renews the hash's
expiry, so that an instance that dies takes its people with it. `parley:instances` names those who may have one; who
reads asks all of them in one pipeline. When somebody was last seen is a key of its own.

Concurrency: on the event loop; one task writes, what changed meanwhile in one pipeline. Readers don't wait for it.

Guarantees:
- Of an instance that was killed nothing is left after `EXPIRY_S`; the others notice within another `BEAT_S`.
- A hash is whole or absent: one that Redis has lost is written anew as a whole.
- Changes are told after they were written, or couldn't be. While Redis is away each instance answers with what it
  sees itself; only the first to find out waits, for a second at most.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.clock import from_unix
from realtime.attention import Attention
from realtime.presence.memory import MemoryPresence
from realtime.presence.port import OnChange, OnDoubt, Sighting, Status, attention_of, now_ms, status_of
from realtime.redis_link import pool_for

log = structlog.get_logger(__name__)

EXPIRY_S = 15
BEAT_S = 3.0
RETRY_S = 0.5
ANSWER_WITHIN_S = 0.8
CHANGES_WITHIN_S = 2.0
WRITE_WITHIN_S = 5.0
"""For everything that an instance sees; no caller waits for writing."""
LAST_SEEN_S = 30 * 24 * 3600
INSTANCE_FORGOTTEN_S = 3600
INSTANCES = "parley:instances"
KEEPER = ""
"""A field that is nobody's: with it the hash is there while nobody is."""
READERS = 16

AWAY = (RedisError, OSError, TimeoutError)

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Sighting).decode


class RedisPresence:
    """Tells other instances what this one sees, and asks them. See `Presence`.

    Raises:
        ValueError: the URL is none that the Redis client reads.
    """

    def __init__(self, here: MemoryPresence, url: str) -> None:
        self._here = here
        self._redis: Any = Redis(connection_pool=pool_for(url))
        self._instance = uuid4().hex
        self._key = _key(self._instance)
        self._reachable = False
        self._whole = False
        self._others: frozenset[str] = frozenset()
        self._waiting: set[str] = set()
        self._awake = asyncio.Event()
        self._tried = asyncio.Event()
        self._readers = asyncio.Semaphore(READERS)
        self._task: asyncio.Task[None] | None = None
        self._beat_due = 0.0
        self._changed: list[OnChange] = []
        self._doubters: list[OnDoubt] = []
        here.on_change(self._change)

    @property
    def reachable(self) -> bool:
        """Whether Redis answered the last time."""
        return self._reachable

    async def attention(self, user_ids: Collection[str]) -> Mapping[str, Attention]:
        """See `Presence`."""
        return {user: attention_of(seen) for user, seen in (await self._sightings(user_ids)).items()}

    async def statuses(self, user_ids: Collection[str]) -> Mapping[str, Status]:
        """See `Presence`."""
        found = {user: Status(status_of(seen)) for user, seen in (await self._sightings(user_ids)).items()}
        offline = [user for user, status in found.items() if status.status == "offline"]
        return found | await self._last_seen(offline)

    def on_change(self, handler: OnChange) -> None:
        """See `Presence`."""
        self._changed.append(handler)

    def on_doubt(self, handler: OnDoubt) -> None:
        """See `Presence`."""
        self._doubters.append(handler)

    async def start(self) -> None:
        """Begin to tell the others; wait for the first attempt, but for no more than a second."""
        self._task = asyncio.create_task(self._run(), name="presence")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), ANSWER_WITHIN_S)

    async def stop(self) -> None:
        """Take everything back."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None
        with suppress(*AWAY):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._redis.pipeline().delete(self._key).zrem(INSTANCES, self._instance).execute()
        await self._redis.aclose(close_connection_pool=True)

    async def _sightings(self, user_ids: Collection[str]) -> dict[str, list[Sighting]]:
        """Return who sees each person: this instance knows best what it sees itself."""
        found = {user: self._here.sightings(user) for user in user_ids}
        if found:
            for row in await self._ask(lambda: self._from_others(list(found))):
                for user, sighting in zip(found, row, strict=True):
                    if sighting is not None:
                        found[user].append(decode(sighting))
        return found

    async def _from_others(self, user_ids: Sequence[str]) -> list[Any]:
        names = [name.decode() for name in await self._redis.zrange(INSTANCES, 0, -1)]
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            if name != self._instance:
                pipeline.hmget(_key(name), user_ids)
        return list(await pipeline.execute())

    async def _last_seen(self, user_ids: Sequence[str]) -> dict[str, Status]:
        found = {user: self._here.status(user) for user in user_ids}
        if not found:
            return found
        stored = await self._ask(lambda: self._redis.mget([_last_seen_key(user) for user in user_ids]))
        for user, at in zip(user_ids, stored, strict=False):
            if at is not None:
                found[user] = Status("offline", from_unix(int(at) / 1000))
        return found

    async def _ask(self, question: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Return what Redis answers; while it is away, nothing."""
        if not self._reachable:
            return []
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S), self._readers:
                return await question()
        except AWAY as error:
            self._lost(error)
            self._awake.set()
            return []

    def _change(self, user_id: str) -> None:
        self._waiting.add(user_id)
        self._awake.set()
        if not self._reachable:
            self._tell({user_id})

    async def _run(self) -> None:
        """Write until cancelled."""
        while True:
            try:
                async with asyncio.timeout(CHANGES_WITHIN_S if self._whole else WRITE_WITHIN_S):
                    await self._write()
                self._found()
            except Exception as error:
                if not isinstance(error, AWAY):
                    log.exception("presence_failed")
                self._whole = False
                self._lost(error)
            self._tried.set()
            if self._reachable:
                await self._wait(self._beat_due - time.monotonic())
            else:
                await asyncio.sleep(RETRY_S)

    async def _wait(self, seconds: float) -> None:
        if not self._waiting:
            with suppress(TimeoutError):  # not `wait_for`, which may swallow a cancellation until Python 3.12
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._awake.wait()
        self._awake.clear()

    async def _write(self) -> None:
        """Write what changed, everything if Redis doesn't have it, and the beat when it is due."""
        self._whole = self._whole and await self._write_changes()
        if not self._whole:
            await self._write_everything()
        if time.monotonic() >= self._beat_due:
            await self._beat()

    async def _write_changes(self) -> bool:
        """Write what changed; False if the hash had got lost, or may have."""
        pipeline = self._redis.pipeline().expire(self._key, EXPIRY_S)
        for user in self._waiting:
            self._note(pipeline, user, self._here.everybody.get(user))
        answers = await self._execute(pipeline)
        return bool(answers[0])

    async def _write_everything(self) -> None:
        pipeline = self._redis.pipeline().delete(self._key).hset(self._key, KEEPER, b"")
        for user, sighting in self._here.everybody.items():
            self._note(pipeline, user, sighting)
        pipeline.zadd(INSTANCES, {self._instance: time.time()})
        await self._execute(pipeline)
        self._whole = True

    async def _execute(self, pipeline: Any) -> list[Any]:
        """Write, then tell whose changes were written; they wait again when that fails."""
        changed, self._waiting = self._waiting, set()
        try:
            answers: list[Any] = await pipeline.expire(self._key, EXPIRY_S).execute()
        except BaseException:
            self._waiting |= changed
            raise
        self._tell(changed)
        return answers

    def _note(self, pipeline: Any, user: str, sighting: Sighting | None) -> None:
        if sighting is None:
            pipeline.hdel(self._key, user)
        else:
            pipeline.hset(self._key, user, encode(sighting))
        pipeline.set(_last_seen_key(user), now_ms(), ex=LAST_SEEN_S)

    async def _beat(self) -> None:
        """Say that this instance lives, and look which of the others do."""
        now = time.time()
        pipeline = self._redis.pipeline().zadd(INSTANCES, {self._instance: now})
        pipeline.zremrangebyscore(INSTANCES, "-inf", now - INSTANCE_FORGOTTEN_S).zrange(INSTANCES, 0, -1)
        names = [name.decode() for name in (await pipeline.execute())[-1] if name.decode() != self._instance]
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.exists(_key(name))
        alive = frozenset(name for name, lives in zip(names, await pipeline.execute(), strict=True) if lives)
        self._beat_due = time.monotonic() + BEAT_S
        if alive != self._others:
            self._others = alive
            self._doubt()

    def _found(self) -> None:
        if not self._reachable:
            self._reachable = True
            log.info("presence_shared")
            self._doubt()

    def _lost(self, error: BaseException) -> None:
        """Answer alone until something could be written."""
        self._beat_due = 0.0
        if self._reachable:
            self._reachable = False
            log.warning("presence_alone", error=type(error).__name__)
            self._tell(set(self._waiting))
            self._doubt()

    def _tell(self, user_ids: Collection[str]) -> None:
        for user in user_ids:
            for handler in self._changed:
                handler(user)

    def _doubt(self) -> None:
        for handler in self._doubters:
            handler()


def _key(instance: str) -> str:
    return f"parley:devices:{instance}"


def _last_seen_key(user_id: str) -> str:
    return f"parley:last_seen:{user_id}"

"""Runs a week on the real workers and a real database, with a clock that jumps from one thing that is due to the next.

Two instances share the work. Between an alert's decision and the delivery's, and between that and the call, people go
on reading. Events come late, twice and in any order. A process that crashes is replaced; what it held has to wait for
its lease.
"""

import asyncio
import random
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kernel.database import Database
from kernel.settings import Settings
from modules.identity.events import UserDeactivated
from modules.messaging.events import MessageCreated
from modules.notifications.domain.addresses import Subscription
from modules.notifications.domain.alerts import OpenAlert
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.preferences import defaults
from modules.notifications.store import alerts
from modules.notifications.store import deliveries as rows
from realtime.attention import Attention
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.world import Person
from tests.simulation_alerts.life import AWAY, Life, Track
from tests.simulation_alerts.plan import DEFAULT_ZONE, TRANSPORTS, Act, Plan
from tests.simulation_alerts.providers import Call, Provider
from tests.support.crashing import Crash, CrashingDatabase, CrashingTransport, Fuse

SHORTEST_STEP = timedelta(seconds=5)
LONGEST_STEP = timedelta(hours=1)
TROUBLE = 0.6
NEXT = """
SELECT least((SELECT min(due_at) FROM notification_alerts), (SELECT min(lease_until) FROM notification_deliveries),
             (SELECT min(due_at) FROM notification_deliveries WHERE state = 'pending'))
"""


class Instance:
    """A process that may die."""

    def __init__(self, week: "Week") -> None:
        self.fuse = Fuse()
        self.house = House(
            CrashingDatabase(week.database, self.fuse),
            week.settings,
            week.life,
            week.clock,
            {name: CrashingTransport(provider, self.fuse) for name, provider in week.providers.items()},
        )
        module = self.house.module
        module.delivery_worker._subscriptions = week.life
        module.service._subscriptions = week.life
        module.explaining._snapshots._subscriptions = week.life


class Week:
    """A week, and what came of it."""

    def __init__(self, database: Database, settings: Settings, plan: Plan) -> None:
        self.plan = plan
        self.database = database
        self.settings = msgspec.structs.replace(settings, default_time_zone=DEFAULT_ZONE)
        self.dice = random.Random(plan.seed)
        self.clock = Clock(plan.start)
        self.life = Life(defaults(settings.default_quiet_hours))
        self.calls: list[Call] = []
        self.providers = {name: Provider(name, self.life, self.clock, self.dice, self.calls) for name in TRANSPORTS}
        self.trouble: dict[str, Track[bool]] = {name: Track(False) for name in TRANSPORTS}
        self.crashes: list[datetime] = []
        self.steps = 0
        self._untold: list[MessageCreated] = []
        self._people()
        self.instances = [Instance(self) for _ in range(2)]

    def _people(self) -> None:
        for number, someone in enumerate(self.plan.people):
            person = Person(someone.user_id, someone.phone, someone.zone, email=someone.email)
            browsers = (subscription(number),) if someone.subscribed else ()
            self.life.come(person, *browsers)
        for channel, members in zip(self.plan.channels, self.plan.members, strict=True):
            self.life.join(channel, *members)

    async def run(self) -> None:
        """Let it happen, and let things come to rest afterwards."""
        acts = list(self.plan.acts)
        while acts or self.clock.time < self.plan.end:
            await self._jump(min(acts[0].at if acts else self.plan.end, self.plan.end))
            while acts and acts[0].at <= self.clock.time:
                await self._act(acts.pop(0))
            await self._tell()
            await self._work()
        self.end = self.clock.time

    async def ledger(self) -> list[Delivery]:
        """Return all deliveries."""
        async with self.database.connection() as connection:
            return await rows.listing(connection, user_id=None, state=None, before=None, limit=1_000_000)

    async def open_alerts(self) -> list[OpenAlert]:
        """Return what is still to be decided on."""
        async with self.database.connection() as connection:
            return [alert for name in self.life.people for alert in await alerts.open_of(connection, name)]

    async def _jump(self, latest: datetime) -> None:
        async with self.database.connection() as connection:
            due: datetime | None = await connection.fetchval(NEXT)
        now = self.clock.time
        longest = SHORTEST_STEP if self._untold else LONGEST_STEP
        then = max(min(latest, due or latest, now + longest), now + SHORTEST_STEP)
        self.clock.time = then
        self.steps += 1

    async def _tell(self) -> None:
        """Publish what was said: at times late, twice, in any order."""
        told = [event for event in self._untold if self.dice.random() < 0.9]
        self._untold = [event for event in self._untold if event not in told]
        if told:
            self.dice.shuffle(told)
            twice = told if self.dice.random() < 0.1 else []
            await self._publish(*told, *twice)

    async def _publish(self, *events: MessageCreated | UserDeactivated) -> None:
        """Another part of the server publishes; a consumer that dies over it is followed by another."""
        async with self.database.transaction() as tx:
            await self.instances[0].house.bus.publish(tx, *events)
        while True:
            instance = self.dice.choice(self.instances)
            try:
                await instance.house.bus._consumers["notifications"].run_batch(instance.house.database)
            except Crash:
                self._replace(instance)
            else:
                return

    async def _work(self) -> None:
        if self.dice.random() < 0.1:
            await asyncio.gather(*map(self._work_of, self.instances))
        else:
            await self._work_of(self.dice.choice(self.instances))

    async def _work_of(self, instance: Instance) -> None:
        module = instance.house.module
        try:
            while await module.alert_worker.round() == 0:
                pass
            self._somebody_reads(0.1)
            await module.delivery_worker.take_up()
            for delivery in await module.delivery_worker.claim(8):
                self._somebody_reads(0.1, delivery)
                await module.delivery_worker.deliver(delivery)
        except Crash:
            self._replace(instance)

    def _somebody_reads(self, chance: float, delivery: Delivery | None = None) -> None:
        """In the very moment before it would be too late."""
        if self.dice.random() >= chance:
            return
        self.clock.forward(seconds=self.dice.uniform(0.1, 3))
        if delivery is not None:
            assert delivery.thread_id is not None
            seq = len(self.life.texts[delivery.thread_id])
            self.life.reads(self.clock(), delivery.user_id, delivery.thread_id, seq)

    def _replace(self, instance: Instance) -> None:
        self.crashes.append(self.clock.time)
        self.instances[self.instances.index(instance)] = Instance(self)

    async def _act(self, act: Act) -> None:
        channel = self.plan.channels[act.where]
        if act.what in {"pause", "choose"}:
            await self._choose(act)
        elif act.what == "deactivate":
            self.life.people[act.who].active = False
            self.life.active[act.who].set(self.clock(), False)
            await self._publish(UserDeactivated(user_id=act.who))
        else:
            getattr(self, f"_{act.what}")(act, channel)

    async def _choose(self, act: Act) -> None:
        before = self.life.preferences[act.who].last
        chosen = act.preferences or msgspec.structs.replace(before, paused_until=act.until)
        try:
            await self.instances[0].house.module.service.choose(act.who, chosen)
        except Crash:
            self._replace(self.instances[0])
        kept = await self.instances[0].house.module.service.preferences(act.who)
        self.life.preferences[act.who].set(self.clock(), kept)

    def _say(self, act: Act, channel: UUID) -> None:
        if act.who in self.life.members(channel) and self.life.people[act.who].active:
            self._untold.append(self.life.say(self.clock(), channel, act.who))

    def _delete(self, _: Act, channel: UUID) -> None:
        left = [text for text in self.life.texts[channel] if text.deleted_at is None]
        if left:
            left[-1].deleted_at = self.clock()

    def _read(self, act: Act, channel: UUID) -> None:
        self.life.reads(self.clock(), act.who, channel, len(self.life.texts[channel]) - act.number)

    def _active(self, act: Act, channel: UUID) -> None:
        shown = frozenset({channel}) if act.flag else frozenset()
        self.life.attention_of[act.who].set(self.clock(), Attention(online=True, active=True, on_screen=shown))

    def _idle(self, act: Act, _: UUID) -> None:
        self.life.attention_of[act.who].set(self.clock(), Attention(online=True))

    def _away(self, act: Act, _: UUID) -> None:
        self.life.attention_of[act.who].set(self.clock(), AWAY)

    def _mute(self, act: Act, channel: UUID) -> None:
        self.life.muted[act.who, channel].set(self.clock(), act.until)

    def _leave(self, act: Act, channel: UUID) -> None:
        if (act.who, channel) in self.life.member:
            self.life.member[act.who, channel].set(self.clock(), False)

    def _subscribe(self, act: Act, _: UUID) -> None:
        number = int(act.who[1:])
        self.life.subscribed[act.who].set(self.clock(), (subscription(number),) if act.flag else ())

    def _trouble(self, act: Act, _: UUID) -> None:
        name = TRANSPORTS[act.number]
        self.providers[name].trouble = TROUBLE if act.flag else 0
        self.trouble[name].set(self.clock(), act.flag)

    def _crash(self, act: Act, _: UUID) -> None:
        self.dice.choice(self.instances).fuse.left = act.number


def subscription(number: int) -> Subscription:
    """Return somebody's browser."""
    return Subscription(UUID(int=number), f"https://push.example/{number}", "", "")

"""Inviting, in the transaction: locks, then facts, then judgements, then what is written.

Guarantees:
- Of invitations at once between two people, or of somebody into one channel, one is made, and the others see it; two
  people who invite each other become contacts.
- A quota is never exceeded: its counts are locked from the judgement to the commit.
- Everybody locks in the same order: nobody waits for each other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kernel.clock import Clock
from kernel.database import Connection, Transaction
from kernel.errors import ParleyError
from kernel.ids import new_id
from modules.contacts.domain.invites import StoredInvite, reminder_at
from modules.contacts.domain.judging import Accept, Create, Facts, Judge, Verdict, Wish
from modules.contacts.domain.quotas import Caps, Quotas
from modules.contacts.domain.templates import filled
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.naming import Names, shown
from modules.contacts.service.outcomes import Invited, Outcome, Task
from modules.contacts.store import facts, invites, pairs, usage


class Rules(msgspec.Struct, frozen=True):
    """What the operator has set."""

    caps: Caps
    cooldown: timedelta | None
    lifetime: timedelta
    reminder_before: timedelta


class Deciding:
    """Decides about wishes and writes what follows."""

    def __init__(self, rules: Rules, lifecycle: Lifecycle, clock: Clock) -> None:
        self._rules = rules
        self._lifecycle = lifecycle
        self._clock = clock

    async def decide(self, tx: Transaction, user_id: str, tasks: Sequence[Task], names: Names) -> list[Outcome]:
        """Return what becomes of each task of somebody. `names`: all whom they are about."""
        if not tasks:
            return []
        wishes = [task.wish for task in tasks]
        await pairs.lock(tx.connection, {held for wish in wishes for held in (wish.pair, wish.slot)})
        now = self._clock()
        known = await _facts(tx.connection, user_id, wishes)
        quotas = await self._quotas(tx.connection, user_id, wishes, now)
        judge = Judge(known, quotas, cooldown=self._rules.cooldown, now=now)
        verdicts = [judge.judge(wish) for wish in wishes]
        if quotas.added:
            await usage.add(tx.connection, quotas.added)
        overdue = [invite.id for invite in known.pending if not invite.is_open(now)]
        await self._lifecycle.close(tx, overdue, "expired", names, now=now, by=None)
        return await self._write(tx, user_id, tasks, verdicts, names, now)

    async def _quotas(self, connection: Connection, user_id: str, wishes: Sequence[Wish], now: datetime) -> Quotas:
        quotas = Quotas(self._rules.caps, user_id, now)
        counters = quotas.counters([wish.invitee_id for wish in wishes])
        if counters:
            quotas.begin(await usage.add(connection, dict.fromkeys(counters, 0)))
        return quotas

    async def _write(
        self,
        tx: Transaction,
        user_id: str,
        tasks: Sequence[Task],
        verdicts: Sequence[Verdict],
        names: Names,
        now: datetime,
    ) -> list[Outcome]:
        accepted = [verdict.invite_id for verdict in verdicts if isinstance(verdict, Accept)]
        closed = await self._lifecycle.close(tx, accepted, "accepted", names, now=now, by=user_id)
        results = [
            self._invite(task, names, now) if isinstance(verdict, Create) else verdict
            for task, verdict in zip(tasks, verdicts, strict=True)
        ]
        await self._lifecycle.create(tx, [one for one in results if isinstance(one, StoredInvite)], names)
        theirs = {invite.id: invite for invite in closed}
        return [_outcome(result, theirs, names) for result in results]

    def _invite(self, task: Task, names: Names, now: datetime) -> StoredInvite:
        entry, wish = task.entry, task.wish
        lifetime = self._rules.lifetime if entry.expires_in_s is None else timedelta(seconds=entry.expires_in_s)
        title = None if wish.admission is None else wish.admission.title
        return StoredInvite(
            id=new_id(),
            kind=entry.kind,
            invitor_id=wish.invitor_id,
            invitee_id=wish.invitee_id,
            channel_id=wish.channel_id,
            channel_title=title,
            channel_role=None if wish.channel_id is None else entry.channel_role or "member",
            message=_message(task, names[wish.invitor_id].display_name, title),
            metadata=entry.metadata,
            created_at=now,
            expires_at=now + lifetime,
            remind_at=reminder_at(now, now + lifetime, self._rules.reminder_before),
        )


async def _facts(connection: Connection, user_id: str, wishes: Sequence[Wish]) -> Facts:
    """Return the facts, with what waits locked: somebody may be answering it, or the worker expiring it."""
    known = await facts.about(connection, user_id, wishes)
    locked = await invites.lock(connection, [invite.id for invite in known.pending])
    return Facts(known.standings, [invite for invite in locked if invite.status == "pending"])


def _message(task: Task, invitor: str, title: str | None) -> str | None:
    return task.entry.message if task.text is None else filled(task.text, invitor=invitor, channel=title)


def _outcome(result: StoredInvite | Accept | ParleyError, theirs: Mapping[UUID, StoredInvite], names: Names) -> Outcome:
    if isinstance(result, ParleyError):
        return result
    if isinstance(result, Accept):
        return Invited("accepted", shown(theirs[result.invite_id], names))
    return Invited("created", shown(result, names))

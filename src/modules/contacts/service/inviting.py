"""Inviting people: one or many, in one way.

Overview: what is wrong by itself is refused first; then whom it is about is looked up and charged for (`limits`), all
before the transaction. In it, all is decided under locks (`deciding`).

Guarantee: the number of queries doesn't depend on the number of invitations.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from kernel.clock import Clock
from kernel.database import Transaction
from kernel.errors import ParleyError
from modules.contacts.domain.judging import Wish
from modules.contacts.errors import PersonNotFoundError
from modules.contacts.schemas.inviting import PostInvite
from modules.contacts.service import checking
from modules.contacts.service.deciding import Deciding
from modules.contacts.service.finding import Finding
from modules.contacts.service.limits import Charge, Misses, Searcher
from modules.contacts.service.naming import Names
from modules.contacts.service.outcomes import Asked, Outcome, Task
from modules.contacts.service.templates import Templates

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Work: TypeAlias = Callable[[Transaction], Awaitable[list[Outcome]]]


class Once(Protocol[T_co]):
    """Runs work in a transaction, once for a request however often it is sent, and makes the answer of its outcomes."""

    async def answered(self) -> T_co | None:
        """Return what was answered, if it was."""
        ...

    async def __call__(self, work: Work) -> T_co:
        """Return what comes of the work, or came of it when the request was first made."""
        ...


class Prepared(msgspec.Struct, frozen=True):
    """What is to be decided, and what is refused already, in the order asked; and what looking it up cost."""

    tasks: Sequence[Task | ParleyError]
    names: Names = {}
    charge: Charge | None = None


class Inviting:
    """Invites."""

    def __init__(
        self, *, templates: Templates, misses: Misses, finding: Finding, deciding: Deciding, clock: Clock
    ) -> None:
        self._templates = templates
        self._misses = misses
        self._finding = finding
        self._deciding = deciding
        self._clock = clock

    async def invite(self, searcher: Searcher, entries: Sequence[PostInvite | ParleyError], once: Once[T]) -> T:
        """Invite people; each entry has an outcome of its own, in their order.

        Args:
            searcher: who invites, and from where.
            entries: whom; what couldn't be read as an entry, as the refusal that says so.
            once: makes the answer.

        Raises:
            TooManyRequestsError: too often, nobody was found; before anything is looked up.
        """
        answered = await once.answered()
        if answered is not None:
            return answered
        prepared = await self._prepared(searcher, await self._asked(entries))
        runs = 0

        async def work(tx: Transaction) -> list[Outcome]:
            nonlocal runs
            runs += 1
            tasks = [one for one in prepared.tasks if isinstance(one, Task)]
            decided = await self._deciding.decide(tx, searcher.user_id, tasks, prepared.names)
            return _in_place(prepared.tasks, decided)

        answer = await once(work)
        if prepared.charge is not None and not runs:
            await self._misses.give_back(prepared.charge)
        return answer

    async def _asked(self, entries: Sequence[PostInvite | ParleyError]) -> list[Asked | ParleyError]:
        """Refuse what is wrong by itself."""
        named = {entry.template for entry in entries if isinstance(entry, PostInvite) and entry.template is not None}
        texts = await self._templates.texts(named) if named else {}
        return [entry if isinstance(entry, ParleyError) else _asked(entry, texts) for entry in entries]

    async def _prepared(self, searcher: Searcher, asked: Sequence[Asked | ParleyError]) -> Prepared:
        """Look up whom it is about; what is about nobody, and what is over the limit of such, is refused."""
        sound = [one for one in asked if isinstance(one, Asked)]
        if not sound:
            return Prepared(_in_place(asked, []))
        now = self._clock()
        await self._misses.check(searcher, now)
        found = await self._finding.find(searcher.user_id, [one.entry for one in sound])
        missed = [isinstance(wish, PersonNotFoundError) for wish in found.wishes]
        charge = await self._misses.charge(searcher, missed, now)
        tasks = [_task(one, wish) for one, wish in zip(sound, found.wishes, strict=True)]
        unanswered = [charge.refusal] * (len(tasks) - charge.answered)
        return Prepared(_in_place(asked, [*tasks[: charge.answered], *unanswered]), found.names, charge)


def _asked(entry: PostInvite, texts: Mapping[str, str]) -> Asked | ParleyError:
    return checking.refusal(entry, texts) or Asked(entry, texts.get(entry.template or ""))


def _task(asked: Asked, wish: Wish | ParleyError) -> Task | ParleyError:
    return Task(asked.entry, asked.text, wish) if isinstance(wish, Wish) else wish


def _in_place(places: Sequence[object], results: Sequence[T]) -> list[T | ParleyError]:
    """Put results where nothing was refused yet, in their order."""
    rest = iter(results)
    return [one if isinstance(one, ParleyError) else next(rest) for one in places]

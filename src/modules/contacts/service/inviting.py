"""Inviting people: one or many, in one way.

Overview: what is wrong by itself is refused first; then whom it is about is looked up and charged for (`limits`), all
before the transaction. In it, all is decided under locks (`deciding`).

Guarantee: the number of queries doesn't depend on the number of invitations.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from kernel.clock import Clock
from kernel.database import Transaction
from kernel.errors import ParleyError
from modules.contacts.errors import PersonNotFoundError
from modules.contacts.schemas.inviting import PostInvite
from modules.contacts.service import checking
from modules.contacts.service.deciding import Deciding
from modules.contacts.service.finding import Finding
from modules.contacts.service.limits import Charge, Misses, Searcher
from modules.contacts.service.naming import Names
from modules.contacts.service.outcomes import Outcome, Task
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
        checked = await self._checked(entries)
        tasks = [one for one in checked if isinstance(one, Task)]
        names, charge = await self._found(searcher, tasks) if tasks else ({}, None)
        runs = 0

        async def work(tx: Transaction) -> list[Outcome]:
            nonlocal runs
            runs += 1
            await self._deciding.decide(tx, searcher.user_id, [task for task in tasks if task.outcome is None], names)
            return [_outcome(one) for one in checked]

        answer = await once(work)
        if charge is not None and not runs:
            await self._misses.give_back(charge)
        return answer

    async def _checked(self, entries: Sequence[PostInvite | ParleyError]) -> list[Task | ParleyError]:
        asked = {entry.template for entry in entries if isinstance(entry, PostInvite) and entry.template is not None}
        texts = await self._templates.texts(asked) if asked else {}
        return [entry if isinstance(entry, ParleyError) else _checked(entry, texts) for entry in entries]

    async def _found(self, searcher: Searcher, tasks: Sequence[Task]) -> tuple[Names, Charge]:
        """Look up whom tasks are about; those about nobody, and those over the limit of such, are refused."""
        now = self._clock()
        await self._misses.check(searcher, now)
        found = await self._finding.find(searcher.user_id, [task.entry for task in tasks])
        missed = [isinstance(wish, PersonNotFoundError) for wish in found.wishes]
        charge = await self._misses.charge(searcher, missed, now)
        for index, (task, wish) in enumerate(zip(tasks, found.wishes, strict=True)):
            if index >= charge.answered:
                task.outcome = charge.refusal
            elif isinstance(wish, ParleyError):
                task.outcome = wish
            else:
                task.wish = wish
        return found.names, charge


def _checked(entry: PostInvite, texts: Mapping[str, str]) -> Task | ParleyError:
    return checking.refusal(entry, texts) or Task(entry, text=texts.get(entry.template or ""))


def _outcome(one: Task | ParleyError) -> Outcome:
    outcome = one.outcome if isinstance(one, Task) else one
    assert outcome is not None  # noqa: S101 - everything has been decided
    return outcome

"""Writing: messages, and what happens to them. Who may is decided by the writer, under the channel's row lock."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from kernel.errors import FieldError, ParleyError, TooLargeError, UnauthenticatedError, UnavailableError
from kernel.ratelimit import RateLimit
from kernel.settings import Settings
from modules.messaging.ports import People, Person
from modules.messaging.schemas.messages import PostMessage
from modules.messaging.writer import Action, Change, ContextKey, Outcome, Revise, Send, Settle, Stored, Writer, Written

ANSWER_TIMEOUT_S = 35


class Writing:
    """Queues what is to be written; one rate limit for each person counts everything that makes a record."""

    def __init__(self, people: People, writer: Writer, settings: Settings) -> None:
        self._people = people
        self._writer = writer
        self._max_chars = settings.max_message_chars
        self._rate = RateLimit("messages", per_s=settings.messages_per_s, burst=settings.message_burst)

    async def submit(
        self,
        user_id: str,
        target: UUID | ContextKey,
        post: PostMessage,
        settle: Settle,
        origin: object | None = None,
    ) -> None:
        """Queue a message; `settle` hears the outcome after the commit.

        Raises:
            TooLargeError, TooManyRequestsError, UnavailableError: it wasn't queued.
        """
        self._check_length(post.content)
        sender = await self._sender(user_id)
        self._writer.submit(Send(target, sender, post.client_id, post.content, settle, origin))

    async def submit_change(
        self, user_id: str, message_id: UUID, action: Action, settle: Settle, origin: object | None = None
    ) -> None:
        """Queue something that is to happen to a message; otherwise as `submit`."""
        if isinstance(action, Revise):
            self._check_length(action.content)
        sender = await self._sender(user_id)
        self._writer.submit(Change(message_id, sender, action, settle, origin))

    async def send(self, user_id: str, target: UUID | ContextKey, post: PostMessage) -> Stored:
        """Append a message.

        Raises:
            ParleyError: refused; see `writer.judge`.
        """
        outcome = await self._settled(lambda settle: self.submit(user_id, target, post, settle))
        assert isinstance(outcome, Stored)  # noqa: S101 - only a change can leave things as they are
        return outcome

    async def change(self, user_id: str, message_id: UUID, action: Action) -> Written:
        """Revise, delete or react to a message; raises as `send`."""
        return await self._settled(lambda settle: self.submit_change(user_id, message_id, action, settle))

    async def _settled(self, submit: Callable[[Settle], Awaitable[None]]) -> Written:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        await submit(settle)
        try:
            outcome = await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise UnavailableError("This was not confirmed in time; send it again") from None
        if isinstance(outcome, ParleyError):
            raise outcome
        return outcome

    async def _sender(self, user_id: str) -> Person:
        sender = (await self._people.find([user_id])).get(user_id)
        if sender is None or not sender.active:
            raise UnauthenticatedError("Unknown user")
        self._rate.take(user_id)
        return sender

    def _check_length(self, content: str) -> None:
        if len(content) > self._max_chars:
            limit = f"at most {self._max_chars} characters"
            raise TooLargeError(f"content: {limit}", errors=[FieldError("/content", limit)])

"""What may go wrong for good; whatever passes by itself is tried again instead."""

from parley_client.models import FieldError, Problem


class ClientError(Exception):
    """Base of all errors of this package."""


class Refused(ClientError):
    """The server refused what was asked. `problem` says why; nothing was done."""

    def __init__(self, problem: Problem, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.title}" + (f": {problem.detail}" if problem.detail else ""))
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def type(self) -> str:
        """The stable name of the reason, a path under `/problems/`."""
        return self.problem.type

    @property
    def status(self) -> int:
        """The status that HTTP has for it."""
        return self.problem.status

    @property
    def errors(self) -> list[FieldError]:
        """What is wrong with which field."""
        return self.problem.errors

    @property
    def passes(self) -> bool:
        """Whether the same may be accepted a little later."""
        return self.problem.status in {429, 503}


class Stopped(ClientError):
    """The client doesn't connect any more. What was sent and not acknowledged may or may not have arrived.

    `code` is the close code of the socket, the status that refused its handshake, or 1000 when the application ended
    the client.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason

"""Errors that are answers. Each knows its status and its problem type; HTTP and sockets render them alike."""

import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from kernel.text import in_words


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field.

    `pointer` is a JSON pointer (RFC 6901) into the body, `?name` for a query parameter, `{name}` for a part of the
    path, `name:` for a header. A pointer ends at an object whose keys are free; the empty one is the whole body.
    """

    pointer: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """RFC 9457 problem details, as sent."""

    type: str
    title: str
    status: int
    detail: str = ""
    request_id: str | None = None
    errors: list[FieldError] | None = None


class ParleyError(Exception):
    """Base of all expected failures. `detail` is shown to the caller: no secrets, nobody else's data."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, errors: list[FieldError] | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors
        self.retry_after_s = retry_after_s

    def problem(self, request_id: str | None = None) -> Problem:
        """Render as problem details."""
        return Problem(
            type=f"/problems/{self.slug}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            request_id=request_id,
            errors=self.errors,
        )

    def headers(self) -> Mapping[str, str]:
        """Return the HTTP headers that belong to this error."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after_s + 0.499)))}


class InternalError(ParleyError):
    """Something went wrong here that nobody expected; the request id helps to find it in the log."""

    status, slug, title = 500, "internal", "Internal error"


class MalformedError(ParleyError):
    """The input can't be understood; `errors` names each field."""

    status, slug, title = 400, "malformed", "Malformed request"


class UnauthenticatedError(ParleyError):
    """No credentials, or bad ones."""

    status, slug, title = 401, "unauthenticated", "Not authenticated"

    def headers(self) -> Mapping[str, str]:
        """Add the challenge that RFC 9110 asks of every 401."""
        return {**super().headers(), "WWW-Authenticate": "Bearer"}


class ForbiddenError(ParleyError):
    """A known member without the right."""

    status, slug, title = 403, "forbidden", "Not allowed"


class NotFoundError(ParleyError):
    """Unknown, or not the caller's: the two must look alike."""

    status, slug, title = 404, "not-found", "Not found"


class MethodNotAllowedError(ParleyError):
    """There is such a path, but not for this method; `allow` lists those that there are."""

    status, slug, title = 405, "method-not-allowed", "Method not allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"This path takes {allow}")
        self._allow = allow

    def headers(self) -> Mapping[str, str]:
        """Add what RFC 9110 asks of every 405."""
        return {**super().headers(), "Allow": self._allow}


class ConflictError(ParleyError):
    """Against a rule or the present state."""

    status, slug, title = 409, "conflict", "Conflict"


class TooLargeError(ParleyError):
    """Over a size limit; the detail names the limit."""

    status, slug, title = 413, "too-large", "Too large"


class TooManyRequestsError(ParleyError):
    """Over a rate limit; `retry_after_s` says when to come back."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class UnavailableError(ParleyError):
    """Something that Parley needs is away or full; the same request may be sent again."""

    status, slug, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


def malformed_field(pointer: str, message: str) -> MalformedError:
    """Return a MalformedError about a single field."""
    return MalformedError(f"{pointer}: {message}", errors=[FieldError(pointer, message)])


PATH = re.compile(r" - at `(?P<path>[^`]*)`\Z")
MEMBER = re.compile(r"\AObject (missing required|contains unknown) field `(?P<name>[^`]*)`\Z")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def undecodable(error: Exception) -> MalformedError:
    """Return what to answer when a body or frame can't be decoded into the Struct that documents it."""
    if isinstance(error, msgspec.ValidationError):
        return MalformedError("The input is not as documented", errors=[field_error(str(error))])
    if isinstance(error, RecursionError):
        return MalformedError("The JSON is nested too deeply")
    reason = str(error).removeprefix("JSON is malformed: ")
    return MalformedError(f"Not valid JSON: {reason}")


def field_error(message: str) -> FieldError:
    """Turn msgspec's message, which ends in a path such as `$.a[0]`, into a JSON pointer and the rest."""
    match = PATH.search(message)
    text = message[: match.start()] if match else message
    known = match["path"].partition("[...]")[0] if match else ""
    steps = [name or index for name, index in STEP.findall(known)]
    if member := MEMBER.match(text):
        steps.append(member["name"])
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return FieldError(pointer, in_words(text))

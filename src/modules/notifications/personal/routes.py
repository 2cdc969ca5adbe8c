"""Notices over HTTP."""

from functools import partial
from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from kernel.auth import Principal
from kernel.errors import ConflictError
from kernel.http.access import key, refuses, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from modules.notifications.personal.notices import Notices
from modules.notifications.personal.schemas import NoticeTaken, PostNotice


@post(
    "/api/notices",
    opt=who(key("notices")) | refuses(ConflictError),
    status_code=202,
    operation_id="postNotice",
    summary="Say something to people who are there",
    tags=["Notifications"],
)
async def post_notice(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostNotice],
    notices: NamedDependency[Notices],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> NoticeTaken:
    """A `notice` frame at each personal socket of theirs. It isn't stored: who isn't there hears nothing of it.

    Somebody unknown among them, or somebody twice, is named, and nobody is told.
    """
    await notices.check(data)
    work = partial(notices.take, wanted=data)
    return await idempotency.once(request, idempotency_key, work, NoticeTaken)


HANDLERS: list[HTTPRouteHandler] = [post_notice]

"""Health and metrics, for whoever runs Parley."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Literal

import msgspec
import structlog
from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from msgspec import Meta
from prometheus_client import CONTENT_TYPE_LATEST

from kernel.http.access import ANYONE, who
from kernel.telemetry.metrics import exposition

log = structlog.get_logger(__name__)

State = Annotated[dict[str, str], Meta(examples=[{"server": "ok", "database": "ok", "outbox": "ok"}])]
"""By what was checked: `ok`, or what is wrong."""


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether everything is there that requests need."""

    status: Literal["ready", "not ready"]
    checks: State


NOT_READY = ResponseSpec(
    Readiness,
    description="Not ready",
    generate_examples=False,
    examples=[Example(value=Readiness("not ready", {"server": "stopping", "database": "ok", "outbox": "ok"}))],
)

Check = Callable[[], Coroutine[None, None, str | None]]
"""Returns what is wrong, or None."""

ANSWER_WITHIN_S = 2.0


def routes(needed: dict[str, Check], wanted: dict[str, Check]) -> list[HTTPRouteHandler]:
    """Return `/health/live`, `/health/ready` and `/metrics`.

    What is only wanted is reported and doesn't end readiness: it is missing everywhere at once, and requests are
    served without it.
    """
    probes = {name: Probe(check) for name, check in (needed | wanted).items()}

    @get("/health/live", opt=who(ANYONE), operation_id="live", summary="The process answers", tags=["Operation"])
    async def live() -> Alive:
        return Alive()

    @get(
        "/health/ready",
        opt=who(ANYONE),
        operation_id="ready",
        summary="Ready for traffic",
        tags=["Operation"],
        responses={503: NOT_READY},
    )
    async def ready() -> Response[Readiness]:
        """503 while anything that requests need is missing; `checks` says what."""
        results = dict(zip(probes, await asyncio.gather(*(probe.result() for probe in probes.values())), strict=True))
        good = all(results[name] == "ok" for name in needed)
        body = Readiness("ready" if good else "not ready", results)
        return Response(body, status_code=200 if good else 503, headers={} if good else {"Retry-After": "2"})

    @get("/metrics", opt=who(ANYONE), include_in_schema=False, media_type=MediaType.TEXT)
    async def metrics() -> Response[bytes]:
        return Response(exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [live, ready, metrics]


class Probe:
    """Runs a check, one at a time: what stands still is waited for by one, however often it is asked about."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._running: asyncio.Task[str | None] | None = None

    async def result(self) -> str:
        """Return "ok" or what is wrong, within `ANSWER_WITHIN_S` seconds."""
        running = self._running = self._running or asyncio.create_task(self._check())
        await asyncio.wait([running], timeout=ANSWER_WITHIN_S)
        if not running.done():
            return f"no answer within {ANSWER_WITHIN_S:g} s"
        self._running = None
        try:
            return running.result() or "ok"
        except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
            log.warning("health_check_failed", error=type(error).__name__)
            return type(error).__name__

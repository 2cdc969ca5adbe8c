"""`/problems`: every `type` of a problem leads to a short description of it."""

import inspect
from collections.abc import Iterator
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import PathParameter
from msgspec import Meta

from kernel.errors import NotFoundError, ParleyError
from kernel.http.access import ANYONE, who
from kernel.text import pattern

SLUG = pattern(r"\A[a-z]+(-[a-z]+)*\Z", "must be lower-case words joined by hyphens")
SlugInPath = Annotated[str, PathParameter(max_length=64, pattern=SLUG, description="The end of a problem's `type`")]


class ProblemType(msgspec.Struct, frozen=True):
    """A kind of refusal: what `type`, `title` and `status` of a problem stand for."""

    type: Annotated[str, Meta(examples=["/problems/conflict"])]
    title: Annotated[str, Meta(examples=["Conflict"])]
    status: Annotated[int, Meta(examples=[409])]
    description: Annotated[str, Meta(examples=["Against a rule or the present state."])]


class ProblemTypes(msgspec.Struct, frozen=True):
    """All of them, in alphabetical order."""

    items: list[ProblemType]


def problem_kinds() -> dict[str, type[ParleyError]]:
    """Return the errors that can be answered, by slug, in alphabetical order."""
    return {kind.slug: kind for kind in sorted(_derived(ParleyError), key=lambda one: one.slug) if "slug" in vars(kind)}


@get("/", opt=who(ANYONE), operation_id="listProblemTypes", summary="All problems that there are")
async def list_problem_types() -> ProblemTypes:
    """The same for everybody, and until the next release."""
    return ProblemTypes([_described(kind) for kind in problem_kinds().values()])


@get("/{slug:str}", opt=who(ANYONE), operation_id="getProblemType", summary="What a problem means")
async def get_problem_type(slug: SlugInPath) -> ProblemType:
    """The `type` of every problem is the path of this operation."""
    kind = problem_kinds().get(slug)
    if kind is None:
        raise NotFoundError("There is no such problem")
    return _described(kind)


def router() -> Router:
    """Return the routes."""
    return Router("/problems", route_handlers=[list_problem_types, get_problem_type], tags=["Problems"])


def _described(kind: type[ParleyError]) -> ProblemType:
    return ProblemType(f"/problems/{kind.slug}", kind.title, kind.status, inspect.getdoc(kind) or kind.title)


def _derived(base: type[ParleyError]) -> Iterator[type[ParleyError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _derived(kind)

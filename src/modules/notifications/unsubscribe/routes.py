"""Unsubscribing over HTTP: for whoever has the link, without credentials, cookies or scripts."""

from typing import Annotated, TypeAlias

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from msgspec import Meta

from kernel.errors import UnavailableError
from kernel.http.access import ANYONE, refuses, who
from kernel.text import pattern
from modules.notifications.unsubscribe.page import DONE, FORM, HEADERS, INVALID, page
from modules.notifications.unsubscribe.tokens import LONGEST
from modules.notifications.unsubscribe.unsubscribing import PATH, Reader, Unsubscribing
from modules.notifications.wording.texts import Texts

TAGS = ["Notifications"]
EXAMPLE = '<!DOCTYPE html><html lang="en">…</html>'
Html = Annotated[str, Meta(examples=[EXAMPLE])]
TOKEN = pattern(r"\A[A-Za-z0-9._-]+\Z", "must be as in the link")
Token: TypeAlias = Annotated[
    str, QueryParameter(min_length=1, max_length=LONGEST, pattern=TOKEN, description="As in the link of the e-mail")
]
NOT_OURS = ResponseSpec(
    str,
    description="The link isn't ours, or isn't whole; a page says so",
    media_type=MediaType.HTML,
    generate_examples=False,
    examples=[Example(value=EXAMPLE)],
)


@get(
    PATH,
    opt=who(ANYONE) | refuses(UnavailableError),
    media_type=MediaType.HTML,
    operation_id="askWhetherToUnsubscribe",
    summary="A page that asks whether to end e-mail",
    tags=TAGS,
    responses={404: NOT_OURS},
)
async def ask(
    token: Token, unsubscribing: NamedDependency[Unsubscribing], texts: NamedDependency[Texts]
) -> Response[Html]:
    """Changes nothing, since scanners of mail follow links. The page is in the recipient's language."""
    return _answer(texts, await unsubscribing.reader(token), FORM)


@post(
    PATH,
    opt=who(ANYONE) | refuses(UnavailableError),
    status_code=200,
    media_type=MediaType.HTML,
    operation_id="unsubscribe",
    summary="End e-mail to the person whose link it is (RFC 8058)",
    tags=TAGS,
    responses={404: NOT_OURS},
)
async def unsubscribe(
    token: Token, unsubscribing: NamedDependency[Unsubscribing], texts: NamedDependency[Texts]
) -> Response[Html]:
    """What mail programs call for their own button, and the page for its own: `List-Unsubscribe=One-Click` as a form.

    The token alone counts: whatever the body is, nobody who asks to be left alone is turned away for its form.
    Doing it again changes nothing. `PUT /api/notifications/preferences` switches e-mail on again.
    """
    return _answer(texts, await unsubscribing.end(token), DONE)


def _answer(texts: Texts, reader: Reader | None, content: str) -> Response[Html]:
    locale, content = (None, INVALID) if reader is None else (reader.locale, content)
    return Response(
        page(texts, locale, content),
        status_code=404 if reader is None else 200,
        media_type=MediaType.HTML,
        headers=dict(HEADERS),
    )


HANDLERS = [ask, unsubscribe]

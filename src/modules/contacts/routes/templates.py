"""Templates over HTTP."""

from typing import Annotated

from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter

from kernel.http.access import ADMIN, USER, key, refuses, who
from kernel.http.parameters import Cursor, Limit
from modules.contacts.errors import TemplateNotFoundError
from modules.contacts.schemas.templates import TEMPLATE_NAME, PutTemplate, Template, TemplatePage
from modules.contacts.service.templates import Templates

TAGS = ["Contacts"]
READERS = who(USER, key("invites"))
KEEPERS = who(ADMIN, key("invites"))
NameInPath = Annotated[
    str,
    PathParameter(min_length=1, max_length=64, pattern=TEMPLATE_NAME, description="1-64 characters of a-z 0-9 _ -"),
]


@get(
    "/api/invite-templates",
    opt=READERS,
    operation_id="listInviteTemplates",
    summary="Texts for invitations",
    tags=TAGS,
)
async def list_templates(
    templates: NamedDependency[Templates], limit: Limit = 50, cursor: Cursor = None
) -> TemplatePage:
    """By name."""
    return await templates.page(limit=limit, cursor=cursor)


@get(
    "/api/invite-templates/{name:str}",
    opt=READERS | refuses(TemplateNotFoundError),
    operation_id="getInviteTemplate",
    summary="A text for invitations",
    tags=TAGS,
)
async def get_template(name: NameInPath, templates: NamedDependency[Templates]) -> Template:
    """As it was put: its places are filled in when somebody is invited with it."""
    return await templates.get(name)


@put(
    "/api/invite-templates/{name:str}",
    opt=KEEPERS,
    operation_id="putInviteTemplate",
    summary="Make or replace a text for invitations",
    tags=TAGS,
)
async def put_template(
    name: NameInPath, data: JSONBody[PutTemplate], templates: NamedDependency[Templates]
) -> Response[Template]:
    """201 when it is new. Invitations that were made with it stay as they were said."""
    template, is_new = await templates.put(name, data.text)
    return Response(template, status_code=201 if is_new else 200)


@delete(
    "/api/invite-templates/{name:str}",
    opt=KEEPERS | refuses(TemplateNotFoundError),
    operation_id="deleteInviteTemplate",
    summary="Delete a text for invitations",
    tags=TAGS,
)
async def delete_template(name: NameInPath, templates: NamedDependency[Templates]) -> None:
    """Invitations that were made with it stay."""
    await templates.delete(name)


HANDLERS: list[HTTPRouteHandler] = [list_templates, get_template, put_template, delete_template]

"""Documents and code agree both ways: what is served is published, and what is published is served."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute
from msgspec import UNSET

from app import create_app
from kernel.errors import ParleyError
from kernel.http.problem_types import problem_kinds
from kernel.settings import Settings
from modules.messaging.gateway.contract import CHAT
from modules.notifications.personal.contract import PERSONAL
from tests.support.servers import Host

Json = dict[str, Any]

INTERNAL = {
    ("GET", "/metrics"),
    ("GET", "/schema"),
    ("GET", "/schema/asyncapi.json"),
    ("GET", "/schema/openapi.json"),
    ("GET", "/schema/{path}"),
}
"""Served and on purpose not an operation of the contract."""

SAID_BY = {  # every frame that the contract knows, with its members; `?` where one may be missing
    "client": """
        auth token
        message.send ref channel_id? context? client_id content
        message.revise ref message_id client_id content
        message.delete ref message_id
        reaction.add ref message_id emoji
        reaction.remove ref message_id emoji
        read channel_id seq
        delivered channel_id seq
        resume ref channels epoch
        view channel_id
        typing channel_id is_typing
        active
        presence.watch user_ids
        ping ref?
    """,
    "server": """
        ready connection_id user_id epoch server_time heartbeat_s limits channels more
        auth.refreshed expires_at
        ack ref channel_id seq message
        error ref? problem
        message.created channel_id seq message
        message.revised channel_id seq message
        message.deleted channel_id seq message_id deleted_by deleted_at
        reaction.added channel_id seq message_id user_id emoji
        reaction.removed channel_id seq message_id user_id emoji
        participant.joined channel_id seq user_id role? by?
        participant.left channel_id seq user_id role? by?
        participant.role_changed channel_id seq user_id role? by?
        channel.archived channel_id seq by?
        channel.reopened channel_id seq by?
        message.redacted channel_id seq message_id
        receipt channel_id user_id last_delivered_seq last_read_seq
        typing channel_id user_ids
        presence user_id status last_seen_at?
        resumed ref channels reset?
        pong ref?
    """,
}
SAID_BY |= {
    "client of the personal socket": """
        auth token
        ping ref?
    """,
    "server of the personal socket": """
        ready connection_id user_id server_time heartbeat_s
        auth.refreshed expires_at
        error ref? problem
        invite.received invite
        invite.accepted invite
        invite.declined invite
        invite.revoked invite
        invite.expired invite
        invite.reminder invite
        contact.added user
        contact.removed user
        presence user_id status last_seen_at?
        badge channel_id unread_count total_unread sender_id message_id created_at
        notice title body link?
        pong ref?
    """,
}
NOT_YET = {"message.redacted"}


def promised(side: str) -> dict[str, dict[str, bool]]:
    """Frame → member → whether it is always there."""
    lines = [line.split() for line in SAID_BY[side].split("\n") if line.strip()]
    return {tag: {name.rstrip("?"): not name.endswith("?") for name in members} for tag, *members in lines}


def made(kinds: Any) -> dict[str, dict[str, bool]]:
    """Return the same, of Structs."""
    return {
        str(kind.__struct_config__.tag): {field.encode_name: field.required for field in msgspec.structs.fields(kind)}
        for kind in kinds
    }


MADE = {
    "client": CHAT.receives,
    "server": CHAT.sends,
    "client of the personal socket": PERSONAL.receives,
    "server of the personal socket": PERSONAL.sends,
}


@pytest.mark.parametrize("side", MADE)
def test_frames_have_the_members_that_were_promised(side: str) -> None:
    there, wanted = made(MADE[side]), promised(side)
    assert there == {tag: members for tag, members in wanted.items() if tag in there}
    assert wanted.keys() - there.keys() <= NOT_YET


def served() -> Iterator[tuple[str, str, bool]]:
    """Yield (method, path, whether it is published) of all that the application routes."""
    app = create_app(Settings(dev_login=True))
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield str(method), route.path_format, handler.resolve_include_in_schema()


def test_every_route_is_published_or_internal(host: Host) -> None:
    document = httpx.get(f"{host.server.url}/schema", trust_env=False).json()
    published = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routes = list(served())
    assert {(method, path) for method, path, is_public in routes if is_public} == published
    assert {(method, path) for method, path, is_public in routes if not is_public} == INTERNAL


def test_login_is_no_operation_where_it_is_off() -> None:
    app = create_app(Settings())
    assert "/api/users/login" not in app.openapi_schema.to_schema()["paths"]


def test_every_problem_has_a_page_and_every_type_leads_to_one(host: Host) -> None:
    with httpx.Client(base_url=host.server.url, trust_env=False) as anybody:
        listed = anybody.get("/problems").raise_for_status().json()["items"]
        for one in listed:
            assert anybody.get(one["type"]).raise_for_status().json() == one
            assert re.fullmatch(r"/problems/[a-z]+(-[a-z]+)*", one["type"])
            assert 400 <= one["status"] < 600
            assert len(one["description"]) > 10
        assert [one["type"] for one in listed] == [f"/problems/{slug}" for slug in problem_kinds()]
        nothing = anybody.get("/problems/no-such-problem")
        assert (nothing.status_code, nothing.json()["type"]) == (404, "/problems/not-found")


def kinds_of(base: type[ParleyError]) -> set[type[ParleyError]]:
    """Return the errors that can be raised."""
    return {base}.union(*map(kinds_of, base.__subclasses__()))


def test_what_one_slug_says_is_said_alike_and_only_by_what_derives_from_it() -> None:
    for kind in kinds_of(ParleyError):
        known = problem_kinds()[kind.slug]
        assert (kind.status, kind.title) == (known.status, known.title), kind
        assert kind is ParleyError or issubclass(kind, known), kind


def test_a_problem_in_the_document_is_one_that_has_a_page(host: Host) -> None:
    document = httpx.get(f"{host.server.url}/schema", trust_env=False).json()
    types = set(re.findall(r"/problems/[a-z-]+", msgspec.json.encode(document).decode()))
    assert types <= {f"/problems/{slug}" for slug in problem_kinds()}
    assert len(types) > 8


def test_a_member_that_was_not_promised_is_found() -> None:
    """The broken variant."""

    class Pong(msgspec.Struct, tag="pong"):
        ref: str | msgspec.UnsetType = UNSET
        more: int = 0

    assert made([Pong])["pong"] != promised("server")["pong"]

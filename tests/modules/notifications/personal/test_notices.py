"""Notices of the host: to every personal socket of those whom they are for, once, and to nobody else."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.realtime.test_slow_readers import narrow
from tests.support.chat import chat
from tests.support.pages import Page, page_of
from tests.support.scene import ONE, TWO, Scene

FLOOD = 2_000
"""Notices: twice what the system's own buffers take for a reader."""
WORDS = {
    "title": "Timesheets are due ⏰",
    "body": "Please confirm last week's hours.\nשלום",
    "link": "/timesheets?week=7",
}


def tell(scene: Scene, *names: str, key: str | None = None, **words: Any) -> httpx.Response:
    """Have the host tell people something."""
    body = {"user_ids": [scene.id(name) for name in names]} | WORDS | words
    headers = {"Idempotency-Key": key} if key else {}
    return scene.host.http.post("/api/notices", json=body, headers=headers)


async def heard(page: Page) -> list[dict[str, Any]]:
    """Return the notices that a page has heard by now."""
    await asyncio.sleep(0.5)
    await page.breathe()
    return [frame for frame in page.socket.seen if frame["type"] == "notice"]


async def test_every_socket_of_theirs_is_told_on_every_instance(scene: Scene) -> None:
    async with (
        page_of(scene, "ben", ONE) as here,
        page_of(scene, "ben", TWO) as there,
        page_of(scene, "cem", TWO) as cem,
        page_of(scene, "ana", TWO) as ana,
        scene.socket("ben", ONE) as device,
    ):
        answer = tell(scene, "ben", "cem", "fay")
        assert answer.status_code == 202
        assert (answer.json().keys(), answer.json()["recipients"]) == ({"notice_id", "recipients"}, 3)
        for page in (here, there, cem):
            assert await heard(page) == [{"type": "notice", **WORDS}]
        assert await heard(ana) == []
        assert await scene.quiet(device, "notice", for_s=0.1) == []


async def test_the_same_request_tells_once(scene: Scene) -> None:
    async with page_of(scene, "ben", TWO) as page:
        key = uuid4().hex
        first, again = tell(scene, "ben", key=key), tell(scene, "ben", key=key)
        assert first.json() == again.json()
        assert tell(scene, "ben", key=key, title="Other").status_code == 409
        assert len(await heard(page)) == 1
        tell(scene, "ben", link=None)
        last = (await heard(page))[-1]
    assert last == {"type": "notice", "title": WORDS["title"], "body": WORDS["body"]}


async def test_somebody_unknown_is_named_and_nobody_told(scene: Scene) -> None:
    async with page_of(scene, "ben") as page:
        answer = tell(scene, "ben", "nobody", "ben")
        assert answer.status_code == 400
        assert answer.json()["errors"] == [
            {"pointer": "/user_ids/1", "message": "unknown user"},
            {"pointer": "/user_ids/2", "message": "is there twice"},
        ]
        assert await heard(page) == []


def test_who_was_deactivated_hears_nothing_and_is_no_mistake(scene: Scene) -> None:
    scene.host.http.delete(f"/api/users/{scene.id('fay')}").raise_for_status()
    assert tell(scene, "fay", "ben").status_code == 202


LINKS = {
    "https://host.example": True,
    "https://host.example/a?b=c#d": True,
    "/": True,
    "/a/b?c=d#e": True,
    "/caf\N{LATIN SMALL LETTER E WITH ACUTE}": True,
    "": False,
    "http://host.example/": False,
    "javascript:alert(1)": False,
    "data:text/html,x": False,
    "//evil.example/": False,
    "/\\evil.example": False,
    "\\\\evil.example": False,
    "https://": False,
    "https://me:secret@host.example/": False,
    "https://host.example/ x": False,
    "/a\nb": False,
    "/a\tb": False,
    "relative": False,
    "HTTPS://host.example": False,
    "/" + "x" * 2000: False,
}


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link[:40] or "empty")
def test_a_link_leads_to_a_page_and_runs_nothing(scene: Scene, link: str) -> None:
    answer = tell(scene, "ben", link=link)
    assert answer.status_code == (202 if LINKS[link] else 400), answer.text
    if not LINKS[link]:
        assert {error["pointer"] for error in answer.json()["errors"]} == {"/link"}


@pytest.mark.parametrize(
    ("words", "pointer"),
    [
        ({"title": ""}, "/title"),
        ({"title": "x" * 121}, "/title"),
        ({"title": "a\0b"}, "/title"),
        ({"body": "x" * 1001}, "/body"),
        ({"body": ""}, "/body"),
        ({"user_ids": []}, "/user_ids"),
        ({"user_ids": ["x"] * 1001}, "/user_ids"),
    ],
)
def test_each_limit_is_named(scene: Scene, words: dict[str, Any], pointer: str) -> None:
    answer = tell(scene, "ben", **words)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_greatest_notice_to_the_most_people_is_taken(scene: Scene) -> None:
    many = [f"{n}-{scene.name}" for n in range(1000)]
    for start in range(0, 1000, 100):
        people = [{"user_id": u, "username": u, "display_name": u} for u in many[start : start + 100]]
        scene.host.http.post("/api/users/batch", json={"users": people}).raise_for_status()
    answer = tell(scene, user_ids=many, title="\N{PARTY POPPER}" * 120, body="\N{PARTY POPPER}" * 1000)
    assert (answer.status_code, answer.json()["recipients"]) == (202, 1000)


@pytest.mark.long
async def test_who_does_not_read_is_cut_off_and_others_hear_everything(scene: Scene) -> None:
    server, ben = scene.servers[ONE], scene.tokens["ben"]
    line = narrow(server)
    stalling = chat(server.personal_url, ben, sock=line, max_queue=1, close_timeout=0.1)
    async with stalling as stalled, page_of(scene, "ben") as page:
        for n in range(FLOOD):
            await asyncio.to_thread(tell, scene, "ben", title=f"{n}", body="\N{PARTY POPPER}" * 1000)
        assert [frame["title"] for frame in await heard(page)] == [f"{n}" for n in range(FLOOD)]
        assert await stalled.closed() in {4008, 1006}, "who reads on only after five seconds finds the line dead"

"""Search over HTTP: what is accepted, what is refused, and by what name."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from modules.messaging.search.searching import SEARCH_BURST
from tests.support.servers import Host


@pytest.fixture
def ana(host: Host) -> Any:
    """Somebody of this test only: searches are counted for each person."""
    name, booking = f"ana-{uuid4().hex}", uuid4().hex
    with host.person(host.user(name)) as client:
        host.context(booking, {name: "worker"})
        path = f"/api/contexts/booking/{booking}/messages"
        client.post(path, json={"client_id": "1", "content": "Das große 门口 <b>Tor</b>"}).raise_for_status()
        yield client


def search(person: httpx.Client, **parameters: Any) -> httpx.Response:
    return person.get("/api/search", params=parameters)


def test_a_message_is_found_as_it_is_with_what_was_looked_for(ana: httpx.Client) -> None:
    page = search(ana, q="GROSSE 口 tor").raise_for_status().json()
    ((item,), content) = page["items"], "Das große 门口 <b>Tor</b>"
    assert item["message"]["content"] == content
    assert item["message"]["status"] == "sent"
    spans = item["highlights"]
    assert [content[span["start"] :][: span["length"]] for span in spans] == ["große", "口", "Tor"]
    assert (page["next"], page["complete"]) == (None, True)


def test_the_status_of_what_is_found_is_the_one_that_its_channel_shows(host: Host) -> None:
    """Also when somebody has joined since, who has read nothing."""
    ana, ben, eve, booking = (uuid4().hex for _ in range(4))
    with host.person(host.user(ana)) as writer, host.person(host.user(ben)) as reader:
        host.user(eve)
        host.context(booking, {ana: "worker", ben: "worker"})
        path = f"/api/contexts/booking/{booking}/messages"
        message = writer.post(path, json={"client_id": "1", "content": "gate"}).raise_for_status().json()
        reader.put(f"/api/channels/{message['channel_id']}/read", json={"seq": 1}).raise_for_status()
        host.context(booking, {ana: "worker", ben: "worker", eve: "worker"})
        shown = writer.get(f"/api/channels/{message['channel_id']}/messages").raise_for_status().json()["items"]
        found = search(writer, q="gate").raise_for_status().json()["items"]
    assert [one["status"] for one in shown] == [one["message"]["status"] for one in found] == ["read"]


REFUSED = {
    "nothing": ({}, "?q"),
    "empty": ({"q": ""}, "?q"),
    "blank": ({"q": "  "}, "?q"),
    "punctuation": ({"q": "?!… -- «»"}, "?q"),
    "NUL": ({"q": "ga\0te"}, "?q"),
    "too long": ({"q": "g" * 201}, "?q"),
    "too many words": ({"q": "a b c d e f g h i j k"}, "?q"),
    "limit 0": ({"q": "gate", "limit": 0}, "?limit"),
    "limit 101": ({"q": "gate", "limit": 101}, "?limit"),
    "no number": ({"q": "gate", "limit": "x"}, "?limit"),
    "unknown type": ({"q": "gate", "context_type": "party"}, "?context_type"),
    "no id": ({"q": "gate", "channel_id": "x"}, "?channel_id"),
    "no cursor": ({"q": "gate", "cursor": "x"}, "?cursor"),
    "another's cursor": ({"q": "gate", "cursor": "MTI"}, "?cursor"),
    "a cursor past all time": (
        {"q": "gate", "cursor": "Wzk5OTk5OTk5OTk5OTk5OTk5OTksIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCIsMV0"},
        "?cursor",
    ),
}


@pytest.mark.parametrize(("parameters", "field"), REFUSED.values(), ids=REFUSED)
def test_nonsense_is_refused_by_its_name(ana: httpx.Client, parameters: Any, field: str) -> None:
    answer = search(ana, **parameters)
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "q",
    [
        "'; DROP TABLE chat_search; --",
        "tor' & !x",
        "tor:*",
        r"\tor\'",
        "(tor | x)",
        "<b>",
        "%tor_",
        "tor " * 50,
        "东" * 200,
        "\U0001f600",
        "g" * 200,
        "\u200etor\u200f",
        "a\u0301" * 100,
    ],
    ids=range(13),
)
def test_operators_and_oddities_are_text(ana: httpx.Client, q: str) -> None:
    assert search(ana, q=q).status_code == 200
    assert len(search(ana, q="tor").json()["items"]) == 1


def test_channels_of_others_look_like_none(host: Host, ana: httpx.Client) -> None:
    mine = search(ana, q="tor").json()["items"][0]["message"]["channel_id"]
    assert len(search(ana, q="tor", channel_id=mine).json()["items"]) == 1
    with host.person(host.user(f"eve-{uuid4().hex}")) as eve:
        assert search(eve, q="tor").json()["items"] == []
        answers = [search(eve, q="tor", channel_id=channel).json() for channel in (mine, uuid4())]
    assert [answer.pop("request_id") for answer in answers]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == 404


def test_somebody_who_searches_too_much_is_told_the_limit(host: Host, ana: httpx.Client) -> None:
    answers = [search(ana, q="tor") for _ in range(SEARCH_BURST * 4)]
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["detail"] == "At most 5 searches a second, 20 at once"
    with host.person(host.user(f"ben-{uuid4().hex}")) as ben:
        assert search(ben, q="tor").status_code == 200

"""The main job: two sides of a booking talk, live and durably."""

from tests.support.chat import chat
from tests.support.servers import Host


async def test_a_message_reaches_the_other_side_and_stays(host: Host) -> None:
    ana, ben = host.user("ana"), host.user("ben")
    context = host.context("b1", {"ana": "worker", "ben": "supervisor"})
    assert context["channel"] is None

    async with chat(host.server.ws_url, ana) as at_ana, chat(host.server.ws_url, ben) as at_ben:
        ack = await at_ana.message("Ist der Termin um 9 Uhr? 👋", context={"type": "booking", "id": "b1"})
        live = await at_ben.receive("message.created")

    assert ack["type"] == "ack"
    assert ack["seq"] == live["seq"] == 1
    assert live["message"] == {k: v for k, v in ack["message"].items() if k != "status"}
    with host.person(ben) as http:
        page = http.get(f"/api/channels/{ack['channel_id']}/messages").json()
    assert page["items"] == [live["message"]]

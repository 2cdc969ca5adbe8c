"""A handful of people invite, answer, block, remove and write in any order: the server answers as the rules say.

The rules (`rules.py`) are written a second time, without a database. A failure prints the steps that lead to it.
"""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.modules.contacts.rules import Answer, Invitation, Rules
from tests.support.databases import Databases
from tests.support.servers import Host, Server, person_at, running_server

NAMES = ["ana", "ben", "cem", "dia"]
UNLIMITED = "1000000"
SOMEBODY = st.sampled_from(NAMES)
ACTION = st.sampled_from(["accept", "decline", "revoke", "remind"])


class People:
    """Four people at a server, with a group each."""

    def __init__(self, host: Host) -> None:
        suffix = uuid4().hex[:8]
        self.ids = {name: f"{name}-{suffix}" for name in NAMES}
        self.names = {user_id: name for name, user_id in self.ids.items()}
        users = [{"user_id": one, "username": one, "display_name": one} for one in self.ids.values()]
        host.http.post("/api/users/batch", json={"users": users}).raise_for_status()
        self.clients = {name: person_at(host.server, host.token(user_id)) for name, user_id in self.ids.items()}
        self.groups = {name: self._group(name) for name in NAMES}

    def _group(self, name: str) -> str:
        body = {"title": f"Group of {name}", "participant_ids": []}
        return str(self.ask(name, "POST", "/api/channels/group", body).raise_for_status().json()["id"])

    def ask(self, name: str, method: str, path: str, body: Any = None) -> httpx.Response:
        """Have somebody ask."""
        return self.clients[name].request(method, path, json=body)

    def close(self) -> None:
        """Let go of the connections."""
        for client in self.clients.values():
            client.close()


def answered(response: httpx.Response) -> Answer:
    """Return the status, and the problem if there is one."""
    good = response.status_code < 400
    return response.status_code, "" if good else response.json()["type"].removeprefix("/problems/")


class Encounters(RuleBasedStateMachine):
    """The steps. `host` is set for each run."""

    host: Host

    def __init__(self) -> None:
        super().__init__()
        self.people = People(self.host)
        self.model = Rules(NAMES)
        self.made: dict[str, Invitation] = {}
        """Invitations by their ids."""
        self.channels: dict[frozenset[str], str] = {}

    def teardown(self) -> None:
        """Compare everything once more: the members of groups, who are made a moment later, too."""
        try:
            for name in NAMES:
                self._compare_group(name)
            for invite_id, invitation in self.made.items():
                self._compare_history(invite_id, invitation)
        finally:
            self.people.close()

    @initialize()
    def know_each_other(self) -> None:
        """Begin with a pair of contacts, so that more happens."""
        self.invite("ana", "ben", by_pin=True)
        self.invite("ben", "ana", by_pin=False)

    @rule(one=SOMEBODY, other=SOMEBODY, by_pin=st.booleans())
    def invite(self, one: str, other: str, *, by_pin: bool) -> None:
        """Invite a contact."""
        target = {"user_id": self.people.ids[other]}
        if by_pin:
            pin = self.people.ask(other, "GET", "/api/users/me").json()["connect_pin"]
            target = {"connect_pin": pin.lower().replace("-", " ")}
        self._invited(self.people.ask(one, "POST", "/api/invites", target), self.model.invite(one, other))

    @rule(one=SOMEBODY, other=SOMEBODY)
    def invite_into_group(self, one: str, other: str) -> None:
        """Invite somebody into one's group."""
        body = {"kind": "channel", "channel_id": self.people.groups[one], "user_id": self.people.ids[other]}
        self._wait_for_members(one)
        self._invited(self.people.ask(one, "POST", "/api/invites", body), self.model.invite(one, other, one))

    @precondition(lambda self: self.made)
    @rule(data=st.data(), who=SOMEBODY, action=ACTION)
    def answer(self, data: st.DataObject, who: str, action: str) -> None:
        """Do something with any invitation."""
        self._act(data.draw(st.sampled_from(sorted(self.made))), who, action)

    @precondition(lambda self: any(self.model.received(name) for name in NAMES))
    @rule(data=st.data(), action=st.sampled_from(["accept", "decline"]))
    def answer_well(self, data: st.DataObject, action: str) -> None:
        """Answer an invitation that waits for it."""
        waiting = sorted(invite_id for invite_id, one in self.made.items() if one.status == "pending")
        invite_id = data.draw(st.sampled_from(waiting))
        self._act(invite_id, self.made[invite_id].invitee, action)

    @rule(one=SOMEBODY, other=SOMEBODY)
    def remove(self, one: str, other: str) -> None:
        """Remove a contact."""
        response = self.people.ask(one, "DELETE", f"/api/contacts/{self.people.ids[other]}")
        assert answered(response) == self.model.remove(one, other)

    @rule(one=SOMEBODY, other=SOMEBODY, wanted=st.booleans())
    def block(self, one: str, other: str, *, wanted: bool) -> None:
        """Block somebody, or end that."""
        if one == other:
            return
        response = self.people.ask(one, "PUT" if wanted else "DELETE", f"/api/blocks/{self.people.ids[other]}")
        assert answered(response) == (self.model.block if wanted else self.model.unblock)(one, other)

    @rule(one=SOMEBODY, other=SOMEBODY)
    def talk(self, one: str, other: str) -> None:
        """Open the direct channel, and write in it if there is one."""
        if one == other:
            return
        pair = frozenset({one, other})
        opened = self.people.ask(one, "POST", "/api/channels/direct", {"user_id": self.people.ids[other]})
        assert answered(opened) == self.model.open(one, other)
        if opened.is_success:
            self.channels[pair] = opened.json()["id"]
        if pair in self.channels:
            body = {"client_id": uuid4().hex, "content": "Hello"}
            path = f"/api/channels/{self.channels[pair]}/messages"
            assert answered(self.people.ask(one, "POST", path, body)) == self.model.write(one, other)
            assert self.people.ask(other, "GET", path).is_success

    @invariant()
    def the_rules_hold(self) -> None:
        """Nothing is that must never be, by the rules themselves."""
        assert self.model.broken() == []

    @rule(name=SOMEBODY)
    def look(self, name: str) -> None:
        """Compare what somebody sees."""
        ids = self.people.ids
        listed = self.people.ask(name, "GET", "/api/contacts?limit=100").json()["items"]
        assert {self.people.names[one["user"]["user_id"]] for one in listed} == self.model.contacts_of(name)
        checked = self.people.ask(name, "GET", f"/api/contacts/check?user_ids={','.join(ids.values())}").json()
        assert {self.people.names[one] for one, known in checked.items() if known} == self.model.contacts_of(name)
        named = self.people.ask(name, "GET", f"/api/contacts/check-by-username?usernames={','.join(ids.values())}")
        assert named.json() == checked  # usernames are the ids here
        waiting = self.people.ask(name, "GET", "/api/invites?limit=100").json()["items"]
        assert sorted(one["id"] for one in waiting) == sorted(
            invite_id for invite_id, one in self.made.items() if one in self.model.received(name)
        )

    def _invited(self, response: httpx.Response, expected: Answer) -> None:
        assert answered(response) == expected
        if response.status_code == 201:
            self.made[response.json()["id"]] = self.model.invitations[-1]
        elif response.status_code == 200:
            assert response.json()["status"] == "accepted"
            assert self.made[response.json()["id"]].status == "accepted"

    def _act(self, invite_id: str, who: str, action: str) -> None:
        if action == "accept" and self.made[invite_id].group:
            self._wait_for_members(self.made[invite_id].group or "")
        response = self.people.ask(who, "PUT", f"/api/invites/{invite_id}", {"action": action})
        assert answered(response) == self.model.answer(who, self.made[invite_id], action)
        if response.is_success:
            assert response.json()["status"] == self.made[invite_id].status

    def _wait_for_members(self, name: str) -> None:
        """Members are made a moment after they accepted."""
        deadline = time.monotonic() + 10
        while self._members(name) != self.model.members[name]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _members(self, name: str) -> set[str]:
        seen = self.people.ask(name, "GET", f"/api/channels/{self.people.groups[name]}").json()["participants"]
        return {self.people.names[one["user_id"]] for one in seen}

    def _compare_group(self, name: str) -> None:
        self._wait_for_members(name)

    def _compare_history(self, invite_id: str, invitation: Invitation) -> None:
        seen = self.people.ask(invitation.invitor, "GET", f"/api/invites/{invite_id}").json()
        statuses = ["pending"] if invitation.status == "pending" else ["pending", invitation.status]
        assert [one["status"] for one in seen["history"]] == statuses
        assert seen["status"] == invitation.status


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which nobody is limited: what is tested is the rules."""
    free = {
        "PARLEY_INVITES_PER_RECIPIENT_PER_DAY": "0",
        "PARLEY_INVITE_MISSES_PER_ACCOUNT_PER_HOUR": UNLIMITED,
        "PARLEY_INVITE_MISSES_PER_ADDRESS_PER_HOUR": UNLIMITED,
        "PARLEY_MAX_REQUESTS_PER_S": UNLIMITED,
        "PARLEY_MESSAGES_PER_S": UNLIMITED,
        "PARLEY_MESSAGE_BURST": UNLIMITED,
        "PARLEY_MAX_FRAMES_PER_S": UNLIMITED,
    }
    folder = tmp_path_factory.mktemp("rules")
    with postgres.fresh() as dsn, running_server(dsn, folder, **free) as running:
        yield running


def test_the_server_answers_as_the_rules_say(host: Host) -> None:
    machine = type("Encounters", (Encounters,), {"host": host})
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=slow),
    )

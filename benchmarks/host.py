"""A host application's side: people and bookings made through the real API, for a benchmark to talk in."""

import http.client
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from benchmarks.servers import token

BATCH = 100


class HostError(Exception):
    """The API refused something."""


@dataclass
class Host:
    """Calls the API with an API key, or as one of the people."""

    port: int
    api_key: str

    def people(self, user_ids: Sequence[str]) -> dict[str, str]:
        """Create people; returns a token for each."""
        for at in range(0, len(user_ids), BATCH):
            users = [
                {"user_id": user, "username": user, "display_name": f"Person {user}"}
                for user in user_ids[at : at + BATCH]
            ]
            self._call("POST", "/api/users/batch", {"users": users})
        return {user: token(user) for user in user_ids}

    def booking(self, context_id: str, user_ids: Sequence[str], first: str) -> str:
        """Create a booking of these people, the first of whom says something; returns its channel's id."""
        path = f"/api/contexts/booking/{context_id}"
        participants = [{"user_id": user, "role": "worker"} for user in user_ids]
        self._call("PUT", path, {"title": context_id, "participants": participants})
        message = self._call("POST", f"{path}/messages", {"client_id": "first", "content": first}, user=user_ids[0])
        return str(message["channel_id"])

    def _call(self, method: str, path: str, body: dict[str, Any], *, user: str | None = None) -> Any:
        credential = token(user) if user else self.api_key
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        if response.status >= 300:
            raise HostError(f"{method} {path}: {response.status} {answer[:500].decode(errors='replace')}")
        return json.loads(answer)

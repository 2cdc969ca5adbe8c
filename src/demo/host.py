"""The host application's back end: it brings its people and bookings over HTTP, with an API key."""

from typing import Any

import aiohttp

from demo.cast import LEO, PEOPLE, QUIET_END, QUIET_START, Person, Scene

DAY_S = 86_400
ALL_CHANNELS = {"push": True, "sms": True, "email": True}
ALL_CATEGORIES = {"messages": True, "invites": True}


class RefusedError(Exception):
    """Parley didn't do as asked; the message says what and why."""


class Host:
    """Calls Parley, as itself or, with a token, as somebody."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self._http = http
        self.url = url
        self.key = key
        self.tokens: dict[str, str] = {}

    async def call(self, method: str, path: str, body: object = None, *, by: Person | None = None) -> Any:
        """Make a call and return the answer.

        Raises:
            RefusedError: any status from 400 on.
        """
        headers = {"Authorization": f"Bearer {self.key if by is None else self.tokens[by.user_id]}"}
        async with self._http.request(method, self.url + path, json=body, headers=headers) as response:
            if not response.ok:
                raise RefusedError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()

    async def bring_people(self, zone: str) -> None:
        """Create or update everybody, mint their tokens, and choose their quiet hours; Leo is in `zone`."""
        users = [_profile(person, zone) for person in PEOPLE]
        for result in (await self.call("POST", "/api/users/batch", {"users": users}))["results"]:
            if result["status"] == "error":
                raise RefusedError(f"{result['user_id']}: {result['problem']}")
        for person in PEOPLE:
            grant = await self.call("POST", "/api/tokens", {"user_id": person.user_id, "expires_in_s": DAY_S})
            self.tokens[person.user_id] = grant["token"]
            await self.call("PUT", "/api/notifications/preferences", _preferences(person, zone), by=person)

    async def bring(self, scene: Scene) -> None:
        """Create or update a context."""
        participants = [{"user_id": person.user_id, "role": role} for person, role in scene.roles]
        await self.call("PUT", scene.path, {"title": scene.title, "participants": participants})


def _profile(person: Person, zone: str) -> dict[str, Any]:
    return {
        "user_id": person.user_id,
        "username": person.user_id,
        "display_name": person.name,
        "phone": person.phone,
        "time_zone": zone if person is LEO else "Europe/London",
    }


def _preferences(person: Person, zone: str) -> dict[str, Any]:
    """Nobody but Leo has quiet hours, so that the demo shows the same at any time of the day."""
    quiet = {"start": QUIET_START, "end": QUIET_END, "time_zone": zone} if person is LEO else None
    return {"channels": ALL_CHANNELS, "categories": ALL_CATEGORIES, "quiet_hours": quiet}

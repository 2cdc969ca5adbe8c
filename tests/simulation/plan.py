"""What happens in a simulation: steps, drawn from a seed and from nothing else, so that a seed is the whole plan."""

from collections.abc import Sequence
from random import Random
from typing import Literal

import msgspec
from msgspec.structs import replace

PEOPLE = ("ana", "ben", "cem", "dia", "eve")
GROUPS = ("team", "crew")
DIRECT = ("ana ben", "cem dia")
CONTEXTS = ("booking", "dispute")
ROLES = {"booking": ("worker", "supervisor", "lender_admin"), "dispute": ("party", "mediator", "observer")}
GROUP_ROLES = ("admin", "moderator", "member")
EMOJI = ("👍", "❤️", "🏗️")
SERVER_TROUBLES = ("killed", "stopped", "paused", "cut", "backends_killed", "postgres_paused", "postgres_killed")
REDIS_TROUBLES = ("redis_killed", "redis_paused", "redis_cut", "redis_stalled")
TROUBLES = (SERVER_TROUBLES, REDIS_TROUBLES)
TROUBLE_EVERY = 30
QUIET_EVERY = 125
LONGEST_PAUSE_MS = 20
LONGEST_TROUBLE_MS = 900
LONGEST_ABSENCE_MS = 400

What = Literal[
    "send", "revise", "delete", "react", "unreact", "read", "delivered",
    "open", "add", "remove", "role", "title", "status", "mute", "context",
    "restart", "trouble", "quiet",
]  # fmt: skip


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that somebody does, or that happens to the machinery.

    Args:
        what: the kind of step.
        number: what it is called by: others are about its message.
        who: who does it; nobody: the host, or fate.
        device: on which of their devices, each of which is at an instance of its own.
        way: by what it goes, where there are two.
        channel: where, by its name in the plan.
        message: the number of the step whose message it is about.
        other: whom it is about.
        value: a text, an emoji, a role, a status or a trouble.
        people: whom the host wants in a context, in which roles.
        hasty: whether it doesn't wait for the step before it on its device.
        ahead: how far past what the device knows a mark is put; below 0: before it.
        wait_ms: how long after the step before it is begun.
        for_ms: how long a trouble, or a device's absence, takes.
    """

    what: What
    number: int = 0
    who: str = ""
    device: int = 0
    way: Literal["socket", "http"] = "socket"
    channel: str = ""
    message: int = -1
    other: str = ""
    value: str = ""
    people: dict[str, str] = {}
    hasty: bool = False
    ahead: int = 0
    wait_ms: int = 0
    for_ms: int = 0


class Plan(msgspec.Struct, frozen=True):
    """Steps, and what they were drawn from."""

    seed: int
    length: int
    steps: list[Step]


WEIGHTS: dict[What, int] = {
    "send": 36, "revise": 9, "delete": 5, "react": 11, "unreact": 5, "read": 10, "delivered": 5,
    "open": 2, "add": 5, "remove": 4, "role": 3, "title": 1, "status": 3, "mute": 1, "context": 4, "restart": 2,
}  # fmt: skip


ABOUT_MESSAGES = {"revise", "delete", "react", "unreact"}


class Draw:
    """Draws steps one after the other."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._texts: list[tuple[int, Step]] = []

    def step(self, number: int) -> Step:
        """Draw the step of this number."""
        what = self._random.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        if what in ABOUT_MESSAGES and self._texts:
            return self._completed(self._about_message(what), number)
        what = "send" if what in ABOUT_MESSAGES else what
        step = self._completed(self._by_somebody(what, self._place(what)), number)
        if what == "send":
            self._texts.append((number, step))
        return step

    def trouble(self, among: Sequence[str]) -> Step:
        """Draw a trouble."""
        value, device = self._random.choice(among), self._random.randrange(2)
        return Step("trouble", value=value, device=device, for_ms=self._random.randrange(LONGEST_TROUBLE_MS))

    def _place(self, what: What) -> str:
        if what in {"add", "remove", "role", "title", "status"}:
            return self._random.choice(GROUPS)
        if what == "context":
            return self._random.choice(CONTEXTS)
        if what == "open":
            return self._random.choice(DIRECT)
        return self._random.choice((*GROUPS, *DIRECT, *CONTEXTS, *CONTEXTS))

    def _by_somebody(self, what: What, place: str) -> Step:
        insiders = place.split() if place in DIRECT else PEOPLE
        who = self._random.choice(insiders if self._random.random() < 0.95 else PEOPLE)
        others = PEOPLE if what in {"add", "remove", "role"} else [one for one in PEOPLE if one != who]
        return Step(
            what,
            who=who,
            device=self._random.randrange(2),
            way=self._random.choice(("socket", "socket", "http")),
            channel=place,
            other=self._random.choice(others),
            hasty=what != "restart" and self._random.random() < 0.3,
            wait_ms=self._random.randrange(LONGEST_PAUSE_MS),
        )

    def _about_message(self, what: What) -> Step:
        """About a message of late; what only senders may do is mostly done by them."""
        number, text = self._random.choice(self._texts[-12:])
        step = self._by_somebody(what, text.channel)
        who = text.who if what in {"revise", "delete"} and self._random.random() < 0.8 else step.who
        return replace(step, who=who, message=number)

    def _completed(self, step: Step, number: int) -> Step:
        return replace(
            step,
            value=self._value(step.what, number),
            people=self._wanted(step.channel) if step.what == "context" else {},
            ahead=self._random.randrange(-4, 4),
            for_ms=self._random.randrange(LONGEST_ABSENCE_MS),
        )

    def _value(self, what: What, number: int) -> str:
        if what in {"react", "unreact"}:
            return self._random.choice(EMOJI)
        if what in {"add", "role"}:
            return self._random.choice(GROUP_ROLES)
        if what == "status":
            return self._random.choice(("archived", "active", "active"))
        if what == "context":
            return self._random.choice(("open", "open", "open", "closed"))
        return f"{self._random.choice(('cargo', 'freight'))} number {number}"

    def _wanted(self, kind: str) -> dict[str, str]:
        present = [one for one in PEOPLE if self._random.random() < 0.8] or ["ana"]
        return {one: self._random.choice(ROLES[kind]) for one in present}


def plan(seed: int, length: int, troubles: Sequence[Sequence[str]] = TROUBLES) -> Plan:
    """Draw a plan: now and then a trouble of the next kind, quiet moments at times and at the end."""
    draw = Draw(seed)
    steps: list[Step] = []
    while len(steps) < length:
        steps.append(draw.step(len(steps)))
        if troubles and len(steps) % TROUBLE_EVERY == 0:
            steps.append(draw.trouble(troubles[len(steps) // TROUBLE_EVERY % len(troubles)]))
        if len(steps) % QUIET_EVERY == 0:
            steps.append(Step("quiet"))
    numbered = [replace(step, number=number) for number, step in enumerate([*steps, Step("quiet")])]
    return Plan(seed, length, numbered)

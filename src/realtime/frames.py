"""The frames that every socket knows, and what all frames have in common."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kernel.clock import Timestamp, rfc3339
from kernel.errors import Problem
from realtime.frame import Frame
from realtime.presence.port import Status

MAX_REF = 128
Ref = Annotated[str, Meta(max_length=MAX_REF, description="The client's own; echoed in the reply")]

encode = msgspec.json.Encoder().encode


class ClientFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """Base of all frames that come in."""


class Auth(ClientFrame, frozen=True, tag="auth"):
    """The first frame, and again to refresh before the token ends."""

    token: Annotated[str, Meta(max_length=8192)]


class Ping(ClientFrame, frozen=True, tag="ping"):
    """Answer me."""

    ref: Ref | None = None


class ServerFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all frames that go out."""


class AuthRefreshed(ServerFrame, frozen=True, tag="auth.refreshed"):
    """The new token counts from now on."""

    expires_at: Timestamp


class ErrorFrame(ServerFrame, frozen=True, tag="error", kw_only=True):
    """Something that the client sent was refused."""

    ref: str | UnsetType = UNSET
    problem: Problem


class Pong(ServerFrame, frozen=True, tag="pong"):
    """The answer to a ping."""

    ref: str | UnsetType = UNSET


class Presence(ServerFrame, frozen=True, tag="presence"):
    """Whether somebody is there. `last_seen_at`: of who is offline, where known."""

    user_id: str
    status: Literal["online", "away", "offline"]
    last_seen_at: Timestamp | UnsetType = UNSET


class _Loose(msgspec.Struct, frozen=True):
    ref: str | None = None


decode_auth = msgspec.json.Decoder(Auth).decode
_decode_loosely = msgspec.json.Decoder(_Loose).decode


def frame(content: ServerFrame) -> Frame:
    """Encode a frame."""
    return Frame(encode(content))


def presence_frame(user_id: str, status: Status) -> Frame:
    """Return the frame that tells somebody's status."""
    at = status.last_seen_at
    last_seen_at = UNSET if at is None else rfc3339(at)
    return frame(Presence(user_id=user_id, status=status.status, last_seen_at=last_seen_at))


def ref_of(text: str) -> str | None:
    """Return the `ref` of a frame that is otherwise wrong, so that the client knows which one it was."""
    try:
        ref = _decode_loosely(text).ref
    except (msgspec.MsgspecError, RecursionError):
        return None
    return ref if ref is not None and len(ref) <= MAX_REF else None

"""What `/ws/notifications` carries, as it is published."""

from typing import get_args

from kernel.http.asyncapi import SocketContract, tagged
from modules.notifications.personal import frames as personal
from realtime import closing, frames
from realtime.connection import TOO_SLOW
from realtime.endpoint import SUBPROTOCOL

PERSONAL = SocketContract(
    name="personal",
    address="/ws/notifications",
    subprotocol=SUBPROTOCOL,
    summary="What concerns one person: subprotocol parley.v1, JSON text frames, the first of them `auth` within 5 s",
    receives=get_args(personal.Incoming),
    sends=(
        *tagged(personal.PersonalFrame),
        frames.AuthRefreshed,
        frames.ErrorFrame,
        frames.Presence,
        frames.Pong,
    ),
    replies={
        frames.Auth: (personal.PersonalReady, frames.AuthRefreshed),
        frames.Ping: (frames.Pong,),
    },
    refusal=frames.ErrorFrame,
    closes=closing.MEANINGS | {TOO_SLOW: "too slow: reconnect and read the truth over HTTP"},
)

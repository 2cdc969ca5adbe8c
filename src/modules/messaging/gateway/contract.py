"""What `/ws/chat` carries, as it is published."""

from typing import get_args

from kernel.http.asyncapi import SocketContract, tagged
from modules.messaging.gateway import client_frames, closing, server_frames
from realtime.connection import TOO_SLOW

CHAT = SocketContract(
    name="chat",
    address="/ws/chat",
    summary="Conversations: subprotocol parley.v1, JSON text frames, the first of them `auth` within 5 s",
    receives=get_args(client_frames.Incoming),
    sends=tuple(tagged(server_frames.ServerFrame)),
    closes={
        closing.NOT_UNDERSTOOD: "frames were not understood, repeatedly",
        closing.NOT_AUTHENTICATED: "not authenticated, or the token has expired",
        closing.BAD_ORIGIN: "this origin is not allowed",
        closing.DEACTIVATED: "the user was deactivated",
        closing.AUTH_TIMEOUT: "no `auth` in time",
        closing.TOO_MANY: "too many sockets or frames",
        TOO_SLOW: "too slow: reconnect and resume",
        1009: "a frame is too large",
        closing.RESTART: "the server restarts: reconnect with jitter",
        closing.OVERLOADED: "the server has too much to do",
    },
)

"""What `/ws/chat` carries, as it is published."""

from typing import get_args

from kernel.http.asyncapi import SocketContract, tagged
from modules.messaging.gateway import client_frames, server_frames
from realtime import closing, frames
from realtime.connection import TOO_SLOW
from realtime.endpoint import SUBPROTOCOL

CHAT = SocketContract(
    name="chat",
    address="/ws/chat",
    subprotocol=SUBPROTOCOL,
    summary="Conversations: subprotocol parley.v1, JSON text frames, the first of them `auth` within 5 s",
    receives=get_args(client_frames.Incoming),
    sends=(
        *tagged(server_frames.ServerFrame),
        frames.AuthRefreshed,
        frames.ErrorFrame,
        frames.Presence,
        frames.Pong,
    ),
    replies={
        frames.Auth: (server_frames.Ready, frames.AuthRefreshed),
        client_frames.SendMessage: (server_frames.Ack,),
        client_frames.ReviseMessage: (server_frames.Ack,),
        client_frames.DeleteMessage: (server_frames.Ack,),
        client_frames.AddReaction: (server_frames.Ack,),
        client_frames.RemoveReaction: (server_frames.Ack,),
        client_frames.Resume: (server_frames.Resumed,),
        client_frames.WatchPresence: (frames.Presence,),
        frames.Ping: (frames.Pong,),
    },
    refusal=frames.ErrorFrame,
    closes=closing.MEANINGS | {TOO_SLOW: "too slow: reconnect and resume"},
)

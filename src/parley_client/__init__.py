"""Parley's client for Python: sends until it is acknowledged, hears everything once and in order.

```python
async with Client("http://127.0.0.1:8000", token=fetch_token) as client:
    await client.send(("booking", "42"), "Hello")
    async for record in client.records():
        ...
```
"""

from parley_client.backoff import Backoff
from parley_client.client import Client
from parley_client.errors import ClientError, Refused, Stopped
from parley_client.frames import (
    ChannelArchived,
    ChannelHead,
    ChannelReopened,
    Limits,
    MessageCreated,
    MessageDeleted,
    MessageRedacted,
    MessageRevised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRoleChanged,
    Presence,
    ReactionAdded,
    ReactionRemoved,
    Ready,
    Receipt,
    Record,
    Reset,
    Typing,
    UnknownRecord,
)
from parley_client.http import Http
from parley_client.models import Channel, FieldError, Message, Problem, Reaction, Sender
from parley_client.options import Options
from parley_client.requests import Target
from parley_client.tokens import TokenSource

__all__ = [
    "Backoff",
    "Channel",
    "ChannelArchived",
    "ChannelHead",
    "ChannelReopened",
    "Client",
    "ClientError",
    "FieldError",
    "Http",
    "Limits",
    "Message",
    "MessageCreated",
    "MessageDeleted",
    "MessageRedacted",
    "MessageRevised",
    "Options",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantRoleChanged",
    "Presence",
    "Problem",
    "Reaction",
    "ReactionAdded",
    "ReactionRemoved",
    "Ready",
    "Receipt",
    "Record",
    "Refused",
    "Reset",
    "Sender",
    "Stopped",
    "Target",
    "TokenSource",
    "Typing",
    "UnknownRecord",
]

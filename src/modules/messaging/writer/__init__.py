"""The one way in for messages: group commit."""

from modules.messaging.writer.send import (
    Action,
    Announcer,
    Change,
    ContextKey,
    Delete,
    Outcome,
    React,
    Revise,
    Send,
    Settle,
    Stored,
    Unchanged,
    Written,
)
from modules.messaging.writer.writer import Writer

__all__ = [
    "Action",
    "Announcer",
    "Change",
    "ContextKey",
    "Delete",
    "Outcome",
    "React",
    "Revise",
    "Send",
    "Settle",
    "Stored",
    "Unchanged",
    "Writer",
    "Written",
]

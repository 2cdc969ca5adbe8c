"""The one way in for messages: group commit."""

from modules.messaging.writer.send import Announcer, ContextKey, Outcome, Send, Stored
from modules.messaging.writer.writer import Writer

__all__ = ["Announcer", "ContextKey", "Outcome", "Send", "Stored", "Writer"]

"""Structured logs: JSON lines to stderr, each with the request id it belongs to.

Secrets, tokens, phone numbers and message text never reach a log. Two habits see to it: code logs ids and counts, and
exceptions are logged as their types and places without their messages, because the messages of databases and
libraries quote the data that they choked on.
"""

import logging
import sys
import traceback
from typing import Any

import structlog
from structlog.types import EventDict, WrappedLogger

QUIET = ("uvicorn.access", "uvicorn.error", "uvicorn.asgi", "websockets", "twilio", "aiohttp", "alembic", "asyncio")
"""Libraries heard from warnings on: below that they print URLs with queries, and headers."""


def configure(level: str, *, to: Any = None) -> None:
    """Set up logging for the process, once, at start."""
    threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            exceptions_without_messages,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=to or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(_LibraryFormatter())
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def exceptions_without_messages(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exceptions' types and the places they passed."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = _described(error)
    return event


def _described(error: BaseException) -> list[str]:
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None:
        frames = traceback.extract_tb(current.__traceback__)
        lines.append(type(current).__qualname__)
        lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


class _LibraryFormatter(logging.Formatter):
    """Renders what libraries log as the same JSON lines."""

    def format(self, record: logging.LogRecord) -> str:
        event: EventDict = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "exc_info": record.exc_info,
        }
        event = exceptions_without_messages(None, "", event)
        return str(structlog.processors.JSONRenderer()(None, "", event))

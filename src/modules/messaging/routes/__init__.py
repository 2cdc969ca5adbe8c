"""Messaging over HTTP."""

from typing import Any

from litestar import Router
from litestar.di import Provide

from modules.messaging.routes import contexts, marks, messages, tickets


def router(**services: Any) -> Router:
    """Return messaging's routes; handlers get `services` by their names."""
    handlers = [*contexts.HANDLERS, *messages.HANDLERS, *marks.HANDLERS, *tickets.HANDLERS]
    provided = {name: Provide(_giving(service), sync_to_thread=False) for name, service in services.items()}
    return Router(path="/", route_handlers=handlers, dependencies=provided)


def _giving(service: Any) -> Any:
    return lambda: service

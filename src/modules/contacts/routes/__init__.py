"""Contacts and invitations over HTTP."""

from typing import Any

from litestar import Router
from litestar.di import Provide

from modules.contacts.routes import blocks, contacts, invites, inviting, templates


def router(**services: Any) -> Router:
    """Return contacts' routes; handlers get `services` by their names."""
    areas = (contacts, blocks, inviting, invites, templates)
    handlers = [handler for area in areas for handler in area.HANDLERS]
    provided = {name: Provide(_giving(service), sync_to_thread=False) for name, service in services.items()}
    return Router(path="/", route_handlers=handlers, dependencies=provided)


def _giving(service: Any) -> Any:
    return lambda: service

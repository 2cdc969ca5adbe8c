"""The command line. Settings come from the environment; commands work beside a running server."""

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec
from uuid import UUID

import click
import structlog

from kernel.settings import Settings, SettingsError, effective, load, unknown
from kernel.telemetry.logging import configure

P = ParamSpec("P")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Parley: the conversation layer of a business web application."""


def _settings() -> Settings:
    """Load the settings or leave with everything that is wrong with them."""
    try:
        settings = load(os.environ)
    except SettingsError as error:
        _leave(error)
    configure(settings.log_level)
    for name in unknown(os.environ):
        structlog.get_logger("settings").warning("unknown_setting", name=name)
    return settings


def _leave(error: SettingsError) -> Any:
    for problem in error.problems:
        click.echo(f"parley: {problem}", err=True)
    sys.exit(2)


@asynccontextmanager
async def _identity(settings: Settings) -> AsyncIterator[Any]:
    from bus import Bus
    from kernel.database import Database
    from kernel.startup import opened
    from modules.identity.module import IdentityModule

    database, bus = Database(), Bus()
    identity = IdentityModule(settings=settings, database=database, bus=bus)
    async with opened(settings, database):
        yield identity


def _asynchronous(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from kernel.errors import ParleyError

        try:
            asyncio.run(command(*args, **kwargs))
        except SettingsError as error:
            _leave(error)
        except ParleyError as error:
            raise click.ClickException(str(error)) from None

    return run


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes; above 1 with Redis.")
def serve(host: str, port: int, workers: int) -> None:
    """Migrate, then serve."""
    settings = _settings()
    if workers > 1:
        _serve_together(settings, host, port, workers)
    from server import build

    try:
        build(settings, host=host, port=port).run()
    except KeyboardInterrupt:
        pass  # Ctrl-C: by now the server has stopped in order
    except SettingsError as error:
        _leave(error)


def _serve_together(settings: Settings, host: str, port: int, count: int) -> NoReturn:
    from workers import run

    if settings.redis_url is None:
        raise click.UsageError("--workers above 1 needs REDIS_URL: workers tell each other through Redis what happens")
    sys.exit(run(settings, host=host, port=port, count=count))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--once", is_flag=True, help="Play, then stop.")
def demo(host: str, port: int, once: bool) -> None:
    """Play a short conversation on a seeded booking, then keep serving it. Sends no SMS; needs no other settings."""
    with suppress(KeyboardInterrupt):
        from demo import run

        run(_settings(), host=host, port=port, once=once)


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure against pgbench and Node's ws; needs a checkout, where `benchmarks/` is. See `parley bench --help`."""
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / "benchmarks" / "run.py").is_file():
        raise click.UsageError("the benchmarks are not part of the package: run this in a checkout")
    sys.path.insert(0, str(checkout))
    importlib.import_module("benchmarks.run").main(list(arguments))


@main.command("check-config")
def check_config() -> None:
    """Print the effective settings, secrets masked; fail on any that is wrong."""
    from modules.notifications.module import check

    settings = _settings()
    try:
        check(settings)
    except SettingsError as error:
        _leave(error)
    for name, value in effective(settings).items():
        click.echo(f"{name}={value}")


@main.command()
@_asynchronous
async def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = _settings()
    async with _identity(settings):
        click.echo("The database is at the newest schema.")


@main.group()
def keys() -> None:
    """API keys of host back ends, and the key for web push."""


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("*",), show_default=True)
@_asynchronous
async def keys_create(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it; it is not shown again."""
    async with _identity(_settings()) as identity:
        _, key = await identity.keys.create(name, scopes)
        click.echo(key)


@keys.command("list")
@_asynchronous
async def keys_list() -> None:
    """List keys, without their secrets."""
    async with _identity(_settings()) as identity:
        for key in await identity.keys.list():
            state = "revoked" if key.revoked_at else "active"
            click.echo(f"{key.id}  {key.prefix}…  {state:8}  {','.join(key.scopes)}  {key.name}")


@keys.command("vapid")
def keys_vapid() -> None:
    """Make a key for web push, and print it as settings. Keep it: browsers subscribe to this one key, for good."""
    from kernel import vapid

    key = vapid.new()
    click.echo(f"PARLEY_VAPID_PRIVATE_KEY={vapid.written(key)}")
    click.echo("PARLEY_VAPID_SUBJECT=mailto:you@example.com")
    click.echo(f"# the public half, as browsers will be told: {vapid.public(key)}")


@keys.command("revoke")
@click.argument("key_id", type=click.UUID)
@_asynchronous
async def keys_revoke(key_id: UUID) -> None:
    """Refuse a key from now on."""
    async with _identity(_settings()) as identity:
        await identity.keys.revoke(key_id)
        click.echo("Revoked.")


@main.command()
@click.argument("user_id")
@click.option("--role", type=click.Choice(["user", "admin", "auditor"]), default="user", show_default=True)
@click.option("--expires-in", default=3600, show_default=True, help="Seconds.")
@_asynchronous
async def token(user_id: str, role: Any, expires_in: int) -> None:
    """Print a token for an existing user."""
    async with _identity(_settings()) as identity:
        grant = await identity.tokens.grant(user_id, role=role, expires_in_s=expires_in)
        click.echo(identity.tokens.sign(grant))


@main.group()
def outbox() -> None:
    """Events on their way to durable consumers."""


@outbox.command("list")
@click.option("--dead", is_flag=True, help="Only those that were given up.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@_asynchronous
async def outbox_list(dead: bool, limit: int) -> None:
    """List waiting and dead events."""
    from bus import outbox as table
    from kernel.clock import rfc3339

    async with _database(_settings()) as database, database.connection() as connection:
        for row in await table.listing(connection, dead_only=dead, limit=limit):
            state = "dead" if row.dead_at else "waiting"
            when = rfc3339(row.staged_at)
            error = row.last_error or ""
            click.echo(f"{row.id}  {state:7}  {when}  {row.consumer}  {row.event_type}  {row.attempts}  {error}")


@outbox.command("replay")
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="Every dead event.")
@_asynchronous
async def outbox_replay(ids: tuple[UUID, ...], everything: bool) -> None:
    """Give dead events a new life."""
    from bus import outbox as table

    if not ids and not everything:
        raise click.UsageError("name events, or say --all")
    async with _database(_settings()) as database, database.connection() as connection:
        count = await table.replay(connection, None if everything else list(ids))
        click.echo(f"{count} replayed.")


@main.group()
def notifications() -> None:
    """Who is told, and who isn't."""


@notifications.command("explain")
@click.option("--user", "user_id", required=True, help="The person's id.")
@click.option("--channel", "channel_id", type=click.UUID, help="The channel that it is about.")
@click.option("--invite", "invite_id", type=click.UUID, help="Or the invitation.")
@_asynchronous
async def notifications_explain(user_id: str, channel_id: UUID | None, invite_id: UUID | None) -> None:
    """Say what would happen now to a person's alerts, by each transport, and why. Changes nothing."""
    from app import Parley
    from kernel.startup import opened

    thread_id = channel_id or invite_id
    if thread_id is None or (channel_id and invite_id):
        raise click.UsageError("Give either --channel or --invite.")
    category: Any = "invites" if channel_id is None else "messages"
    settings = _settings()
    parley = Parley(settings)
    async with opened(settings, parley.database):
        others_seen = await _presence_begins(parley)
        try:
            for line in await parley.notifications.explaining.lines(user_id, thread_id, category):
                click.echo(line)
        finally:
            await parley.presence.stop()
    if not others_seen:
        click.echo("\nWho is online can't be seen from here: everybody is supposed to be away.")


async def _presence_begins(parley: Any) -> bool:
    """Ask Redis who is online, where there is one; without it, only the server itself knows."""
    if parley.settings.redis_url is None:
        return False
    await parley.presence.start()
    return bool(parley.presence.reachable)


@main.group()
def state() -> None:
    """What was made of messages: revisions, deletions, reactions."""


@state.command("rebuild")
@_asynchronous
async def state_rebuild() -> None:
    """Fold the log of every channel anew. Safe beside a running server."""
    from modules.messaging.module import rebuild_state

    async with _database(_settings()) as database:
        click.echo(f"{await rebuild_state(database)} channels were not as their log says; now they are.")


@main.group()
def search() -> None:
    """What messages are found by."""


@search.command("rebuild")
@_asynchronous
async def search_rebuild() -> None:
    """Make the index anew from the log, beside a running server."""
    from modules.messaging.module import rebuild_search

    async with _database(_settings()) as database:
        click.echo(f"{await rebuild_search(database)} channels indexed.")


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Any]:
    from kernel.database import Database
    from kernel.startup import opened

    database = Database()
    async with opened(settings, database):
        yield database


if __name__ == "__main__":
    main()

"""The demo from its start to its end."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import click

from demo import farewell, screen
from demo.alerts import Alerts
from demo.cast import BOOKING, DISPUTE, asleep
from demo.host import Host, RefusedError
from demo.play import Play
from demo.stage import Stage, StageError, stage
from kernel.clock import now
from kernel.settings import Settings
from kernel.telemetry.logging import configure
from parley_client import ClientError

KEY_NAME = "demo"


def run(settings: Settings, *, host: str, port: int, once: bool) -> None:
    """Play the demo and, unless `once`, go on serving until Ctrl-C or SIGTERM.

    Raises:
        click.ClickException: the server can't be had, or didn't do as expected.
    """
    configure("warning")
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(_run(settings, host, port, once=once))
    except (StageError, RefusedError, ClientError, TimeoutError) as error:
        raise click.ClickException(str(error) or "the server didn't answer in time") from None


async def _run(settings: Settings, host: str, port: int, *, once: bool) -> None:
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and task.cancel())
    click.echo("Starting PostgreSQL and Parley ...")
    async with stage(settings, host, port) as running, _host(running) as caller:
        _introduce(settings, running)
        channel_id = await _perform(running, caller)
        if not once:
            farewell.show(caller, running.ws_url, channel_id)
            await asyncio.Event().wait()


async def _perform(running: Stage, caller: Host) -> str:
    alerts = Alerts(running)
    await caller.bring_people(asleep(now()))
    play = Play(caller, alerts)
    for scene in (BOOKING, DISPUTE):
        await caller.bring(scene)
    channel_id = await play.perform(BOOKING)
    await play.perform(DISPUTE)
    return channel_id


@asynccontextmanager
async def _host(running: Stage) -> AsyncIterator[Host]:
    """Give the host's back end, with an API key that ends with the demo."""
    keys = running.parley.identity.keys
    key_id, key = await running.ask(keys.create(KEY_NAME, ("*",)))
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            yield Host(http, running.url, key)
    finally:
        await running.ask(keys.revoke(key_id))


def _introduce(settings: Settings, running: Stage) -> None:
    screen.heading(f"Parley at {running.url}")
    screen.note(f"database: an embedded PostgreSQL in {settings.data_dir}")
    screen.note("SMS: shown here, sent to nobody")
    if settings.database_url:
        screen.note("DATABASE_URL is set; the demo leaves that database alone")

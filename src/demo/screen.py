"""The terminal. Colours only where there is a terminal; plain ASCII everywhere."""

from collections.abc import Iterable

import click

from demo.cast import Person
from demo.device import Device

NAME, ROLE, VERDICT = 12, 18, 10
INDENT = " " * 6


def heading(text: str) -> None:
    """Begin a part."""
    click.echo()
    click.secho(text, bold=True)


def note(text: str) -> None:
    """Say something in passing."""
    click.secho(f"  {text}", dim=True)


def person(who: Person, role: str, whereabouts: str) -> None:
    """Introduce somebody."""
    click.echo(f"  {role:{ROLE}}{who.name:{NAME}}{whereabouts}")


def message(seq: int, device: Device, text: str) -> None:
    """Show what somebody wrote, and its place in the log."""
    number = click.style(f"{f'#{seq}':>5}", fg="cyan")
    click.echo(f"{number} {click.style(str(device), bold=True)}: {text}")


def received(acknowledged_ms: float, devices: Iterable[Device], absent: Iterable[Person]) -> None:
    """Show how long the message took to be durable, which sockets it came out of, and who wasn't there."""
    heard = ", ".join(map(str, devices)) or "nobody"
    click.secho(f"{INDENT}acknowledged after {acknowledged_ms:.0f} ms; heard by {heard}", dim=True)
    click.secho(f"{INDENT}not there: {', '.join(who.short for who in absent) or 'nobody'}", dim=True)


def refused(device: Device, text: str, why: str) -> None:
    """Show what somebody wanted to write, and why it wasn't taken."""
    click.echo(f"{click.style('    x', fg='red')} {click.style(str(device), bold=True)}: {text}")
    click.secho(f"{INDENT}{why}", fg="red")


def verdict(name: str, what: str, why: str, *, colour: str) -> None:
    """Show what became of somebody's alert."""
    click.echo(f"  {name:{NAME}}{click.style(f'{what:{VERDICT}}', fg=colour)}{why}")

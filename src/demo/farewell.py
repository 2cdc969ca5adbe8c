"""What to try while the server keeps running."""

import sys
from pathlib import Path

import click

from demo import screen
from demo.cast import ANA, BEN, BOOKING
from demo.host import Host


def show(host: Host, ws_url: str, channel_id: str) -> None:
    """Print tokens, and commands that can be pasted into another terminal."""
    screen.heading("Now you")
    screen.note("The server keeps running, and SMS keep appearing here. Ctrl-C stops it.")
    screen.note("Paste this into another terminal; then any of what follows.")
    click.echo()
    click.echo(f"URL={host.url}\nKEY={host.key}")
    click.echo(f"ANA={host.tokens[ANA.user_id]}\nBEN={host.tokens[BEN.user_id]}")
    for what, command in _commands(ws_url, channel_id):
        click.echo()
        click.secho(f"# {what}", dim=True)
        click.echo(command)
    click.echo()


def _commands(ws_url: str, channel_id: str) -> list[tuple[str, str]]:
    client = _shortest(Path(sys.executable).with_name("websockets"))
    messages = f"$URL/api/channels/{channel_id}/messages"
    body = r"{\"client_id\": \"$(date +%s)\", \"content\": \"Is anybody there?\"}"
    auth = r'{"type": "auth", "token": "%s"}\n'
    return [
        (
            "Write as Ana. Everybody else is away now: watch who gets an SMS, and who doesn't",
            f'{_curl("ANA")} -H "Content-Type: application/json" \\\n  $URL{BOOKING.path}/messages -d "{body}"',
        ),
        ("Read as Ben", f'{_curl("BEN")} "{messages}?limit=5"'),
        (
            "Ben's ledger: every SMS that he got or didn't get, and why",
            f"{_curl('BEN')} $URL/api/notifications/deliveries",
        ),
        ("The booking, as the host sees it", f"{_curl('KEY')} $URL{BOOKING.path}"),
        (
            "A socket for Ben: prints what arrives, sends what you type (one JSON frame a line)",
            f"(printf '{auth}' \"$BEN\"; cat) | {client} {ws_url}",
        ),
    ]


def _curl(who: str) -> str:
    return f'curl -s -H "Authorization: Bearer ${who}"'


def _shortest(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

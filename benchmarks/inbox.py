"""Defends: a page of an inbox of 2,000 channels answers within 50 ms at p99, whichever page and whatever is unread.

The real server over HTTP, one request after the other on one connection, by somebody who has read all of some
channels, nothing of others, and most of the rest.
"""

import http.client
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

from benchmarks.host import Host
from benchmarks.load.stats import percentile
from benchmarks.report import Row, limited, plain
from benchmarks.servers import Server
from kernel.database import Database

PART = "Inbox"
CHANNELS = 2_000
MESSAGES = 100
"""In each channel."""
MEMBERS = 6
REQUESTS = 100
"""Of each kind in each round."""
AT_MOST_MS = 50.0
READER = "inbox-reader"

FILL_CHANNELS = """
INSERT INTO chat_channels (id, kind, genesis, head_hash, last_seq, last_record_at, last_message_at, created_at)
SELECT md5('inbox' || n)::uuid, 'group', '{}', '', $2, at, at, at
FROM generate_series(1, $1::int) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) t
"""
FILL_MEMBERS = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_at, last_delivered_seq, last_read_seq)
SELECT md5('inbox' || n)::uuid, CASE m WHEN 1 THEN $4 ELSE 'inbox-' || m END, 'member', now(), read, read
FROM generate_series(1, $1::int) AS n, generate_series(1, $3::int) AS m,
    LATERAL (SELECT (ARRAY[$2::int, $2 - 1, $2 * 2 / 3, 0])[1 + n % 4] AS read) r
"""
FILL_MESSAGES = """
INSERT INTO chat_messages (channel_id, seq, id, kind, sender_id, sender_username, sender_display_name, client_id,
    content, created_at, hash)
SELECT md5('inbox' || n)::uuid, s, gen_random_uuid(), 'text', CASE sender WHEN 1 THEN $4 ELSE 'inbox-' || sender END,
    'inbox-' || sender, 'Person ' || sender, 'c' || s, repeat('The crane is there. ', 10), now(), ''
FROM generate_series(1, $2::int) AS s, generate_series(1, $1::int) AS n, LATERAL (SELECT 1 + (s + n) % $3 AS sender) w
"""


class Inbox:
    """The reader's inbox, over one connection."""

    def __init__(self, server: Server, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def page(self, query: Mapping[str, str]) -> Any:
        """Return a page.

        Raises:
            RuntimeError: it was refused.
        """
        return json.loads(self._get(query))

    def time(self, query: Mapping[str, str]) -> float:
        """Return how long a page takes, in seconds."""
        began = perf_counter()
        self._get(query)
        return perf_counter() - began

    def last_cursor(self) -> str:
        """Page through everything; returns the cursor of the last page.

        Raises:
            RuntimeError: not every channel was there.
        """
        page, seen, cursor = self.page({}), 0, ""
        while page["next"] is not None:
            seen, cursor = seen + len(page["items"]), page["next"]
            page = self.page({"cursor": cursor})
        if seen + len(page["items"]) != CHANNELS:
            raise RuntimeError(f"{seen + len(page['items'])} of {CHANNELS} channels were listed")
        return cursor

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _get(self, query: Mapping[str, str]) -> bytes:
        self._connection.request("GET", f"/api/channels?{urlencode(query)}", headers=self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != HTTPStatus.OK:
            raise RuntimeError(f"GET /api/channels: {response.status} {answer[:500].decode(errors='replace')}")
        return answer


async def measure(server: Server, host: Host, database: Database, *, rounds: int) -> list[Row]:
    """Return two rows for each kind of page."""
    await _fill(database)
    token = host.people([READER])[READER]
    with closing(Inbox(server, token)) as inbox:
        kinds = {
            "first page": {},
            "last page": {"cursor": inbox.last_cursor()},
            "first 100": {"limit": "100"},
            "unread ones": {"unread": "true"},
        }
        taken: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, query in kinds.items():
                taken[kind].append([inbox.time(query) for _ in range(REQUESTS)])
    return [row for kind, durations in taken.items() for row in _rows(kind, durations)]


def _rows(kind: str, rounds: Sequence[Sequence[float]]) -> list[Row]:
    what = f"{kind}, {CHANNELS:,} channels"
    p50s, p99s = ([percentile(durations, percent) * 1000 for durations in rounds] for percent in (50, 99))
    return [
        plain(PART, f"{what}, p50", p50s, unit="ms"),
        limited(PART, f"{what}, p99", p99s, unit="ms", at_most=AT_MOST_MS),
    ]


async def _fill(database: Database) -> None:
    """Make the channels by hand: what is measured is reading them. No statistics are gathered."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL_CHANNELS, CHANNELS, MESSAGES)
        await tx.connection.execute(FILL_MEMBERS, CHANNELS, MESSAGES, MEMBERS, READER)
        await tx.connection.execute(FILL_MESSAGES, CHANNELS, MESSAGES, MEMBERS, READER, timeout=300)

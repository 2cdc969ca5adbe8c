"""Defends: a search through 200,000 messages of one person answers within 100 ms at p99, whatever is looked for.

The real `Searching`, in this process, one search after the other, for somebody with few channels and somebody with
thousands. The kinds of queries are asked in turn. The index is made by `catch_up`, whose pace is reported, too.
"""

import random
from collections.abc import Collection, Mapping
from statistics import median
from time import perf_counter

from benchmarks.load.stats import milliseconds, percentile
from benchmarks.report import Row, limited, plain
from kernel.database import Database
from modules.messaging.ports import Person
from modules.messaging.search.indexer import Indexer
from modules.messaging.search.indexing import catch_up
from modules.messaging.search.searching import Searching, Where

PART = "Search"
MESSAGES = 200_000
SPREADS = (20, 2_000)
SEARCHES = 50
"""Of each kind in each round."""
AT_MOST_MS = 100.0
LIMIT = 20
QUERIES = {
    "a common word": "gate",
    "a rare word": "zebrafinch",
    "a part of a Chinese text": "起重机已",
    "no hit": "xylophone",
}
RARE = 1 / 10_000
COMMON = 1 / 3
CHINESE = 1 / 10
VOCABULARY = 20_000
WORDS = 15
SENTENCE = "明天早上七点请到东门来起重机已经到了许可证还没有下来"
BATCH = 20_000

CHANNELS = """
INSERT INTO chat_channels (id, kind, genesis, head_hash, last_seq, last_record_at, last_message_at, created_at)
SELECT md5($1 || n)::uuid, 'group', '{}', '', $3, at, at, at
FROM generate_series(0, $2 - 1) AS n, LATERAL (SELECT now() - ($2 - n) * interval '1 minute' AS at) t
"""
MEMBERS = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT md5($1 || n)::uuid, $1, 'member', now() FROM generate_series(0, $2 - 1) AS n
"""
TEXTS = """
INSERT INTO chat_messages (channel_id, seq, id, kind, sender_id, content, created_at, hash)
SELECT md5($1 || n % $2)::uuid, 1 + n / $2, gen_random_uuid(), 'text', 'somebody', content,
    now() - ($4 - n) * interval '1 minute', ''
FROM (SELECT $3 + place - 1 AS n, content FROM unnest($5::text[]) WITH ORDINALITY AS t (content, place)) t
"""


class Nobody:
    """Nobody was deactivated."""

    async def find(self, _user_ids: Collection[str]) -> Mapping[str, Person]:
        """Return nothing."""
        return {}


async def measure(database: Database, *, rounds: int) -> list[Row]:
    """Return a row for each spread and kind of query, and the pace of the index."""
    rows: list[Row] = []
    for channels in SPREADS:
        searcher = f"searcher-{channels}"
        await _fill(database, searcher, channels)
        began = perf_counter()
        await catch_up(database)
        pace = MESSAGES / (perf_counter() - began)
        rows.append(plain(PART, f"indexing, {channels:,} channels", [pace], unit="messages/s"))
        rows += await _searches(database, searcher, channels, rounds)
    return rows


async def _searches(database: Database, searcher: str, channels: int, rounds: int) -> list[Row]:
    searching = Searching(database, Nobody(), Indexer(database), per_s=1e6, burst=1e6)
    taken: dict[str, list[list[float]]] = {what: [[] for _ in range(rounds)] for what in QUERIES}
    for turn in range(rounds):
        for _ in range(SEARCHES):
            for what, q in QUERIES.items():
                began = perf_counter()
                page = await searching.find(searcher, q, Where(), before=None, limit=LIMIT)
                taken[what][turn].append(perf_counter() - began)
                if bool(page.items) == (what == "no hit"):
                    raise RuntimeError(f"{what}: {len(page.items)} found")
    return [_row(what, channels, times) for what, times in taken.items()]


def _row(what: str, channels: int, rounds: list[list[float]]) -> Row:
    p99 = [percentile(times, 99) * 1000 for times in rounds]
    row = limited(PART, f"{what}, p99, {channels:,} channels", p99, unit="ms", at_most=AT_MOST_MS)
    row.also["p50"] = milliseconds(median(percentile(times, 50) for times in rounds))
    return row


async def _fill(database: Database, searcher: str, channels: int) -> None:
    """Write channels and texts by hand: what is measured is finding them."""
    dice = random.Random(channels)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvwy", k=dice.randint(3, 10))) for _ in range(VOCABULARY)]
    weights = [1 / (place + 1) for place in range(VOCABULARY)]
    async with database.connection() as connection:
        await connection.execute(CHANNELS, searcher, channels, MESSAGES // channels)
        await connection.execute(MEMBERS, searcher, channels)
        for start in range(0, MESSAGES, BATCH):
            texts = [_text(dice, words, weights) for _ in range(BATCH)]
            await connection.execute(TEXTS, searcher, channels, start, MESSAGES, texts)


def _text(dice: random.Random, words: list[str], weights: list[float]) -> str:
    if dice.random() < CHINESE:
        start = dice.randrange(len(SENTENCE))
        return SENTENCE[start:] + SENTENCE[:start]
    text = dice.choices(words, weights, k=WORDS)
    text += [word for word, share in (("gate", COMMON), ("zebrafinch", RARE)) if dice.random() < share]
    return " ".join(text)

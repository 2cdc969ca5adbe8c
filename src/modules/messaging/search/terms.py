"""Folded text in terms: what is looked for, and what the index holds.

A term is a word, an emoji, or a run of a script that puts no spaces between words. Words and emoji are found by their
beginnings, so that a search may be made while it is typed; runs are found by any part of them.

The index holds words, emoji, and of a run the pairs of neighbouring characters (of its end the last character alone),
all with the key of the block that the message is in. What it finds may not match yet, since pairs may stand apart; but
what matches is always found by it.
"""

import base64
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import regex

INDEXED_CHARS = 64
"""Of a word; a longer one is found by these and then compared as a whole."""
PAIRS_ASKED = 8
"""Of a run; more would find hardly less."""
KEY_CHARS = 6
"""36 bits: blocks of one key are told apart by their channels, at the cost of a look at each row."""

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc"
IN_RUN = rf"[[{UNSPACED}]&&[\p{{L}}\p{{N}}]]"
IN_WORD = rf"[[\p{{L}}\p{{N}}]--[{UNSPACED}]]"
PICTURE = r"\p{Extended_Pictographic}[\p{Emoji_Modifier}\p{M}\U000e0020-\U000e007f]*"
TERM = regex.compile(
    rf"(?P<emoji>\p{{Regional_Indicator}}{{2}}|[0-9\#*]\u20e3|{PICTURE}(?:\u200d{PICTURE})*)"
    rf"|(?P<run>{IN_RUN}[{IN_RUN}\p{{M}}]*)"
    rf"|(?P<word>{IN_WORD}[{IN_WORD}\p{{M}}]*)",
    regex.VERSION1,
)


class Term(NamedTuple):
    """A piece of folded text and where it begins there."""

    text: str
    start: int
    is_run: bool

    def find_in(self, other: "Term") -> Iterator[tuple[int, int]]:
        """Yield where this, of a query, stands in `other`, of a text: (start, end) in the folded text."""
        if self.is_run == other.is_run:
            at = other.text.find(self.text)
            while at >= 0 and (at == 0 or self.is_run):
                yield other.start + at, other.start + at + len(self.text)
                at = other.text.find(self.text, at + 1)


def terms(folded: str) -> Iterator[Term]:
    """Yield the terms of a folded text, in order."""
    for match in TERM.finditer(folded):
        yield Term(match.group(), match.start(), match.lastgroup == "run")


@lru_cache(maxsize=16_384)
def block_key(channel_id: UUID, number: int) -> str:
    """Return what the terms of a block of a channel's messages begin with in the index: always of one length."""
    named = channel_id.bytes + number.to_bytes(8, "big")
    return base64.urlsafe_b64encode(blake2b(named, digest_size=KEY_CHARS).digest()).decode()[:KEY_CHARS]


def vector(key: str, folded: str) -> str:
    """Return the tsvector of a folded text; empty when nothing of it can be looked for."""
    return " ".join(f"'{key}{term}'" for term in {part for term in terms(folded) for part in _indexed(term)})


def asked(wanted: Iterable[Term]) -> list[str]:
    """Return what stands in the index, after the key, for all that has these terms; a colon ends what is a prefix."""
    return list(dict.fromkeys(part for term in wanted for part in _asked(term)))


def tsquery(key: str, parts: Iterable[str]) -> str:
    """Return the tsquery for what `asked` returned, in one block."""
    return " & ".join(f"'{key}{part[:-1]}':*" if part.endswith(":") else f"'{key}{part}'" for part in parts)


def _indexed(term: Term) -> Iterable[str]:
    if not term.is_run:
        return (term.text[:INDEXED_CHARS],)
    return (term.text[at : at + 2] for at in range(len(term.text)))


def _asked(term: Term) -> Iterable[str]:
    if not term.is_run:
        return (term.text[:INDEXED_CHARS] + ":",)
    if len(term.text) == 1:
        return (term.text + ":",)
    return (term.text[at : at + 2] for at in range(min(len(term.text) - 1, PAIRS_ASKED)))

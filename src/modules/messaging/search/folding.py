"""Text without what people don't type when they search: case, accents, vowel points, width, invisible characters.

Guarantees: the same text in another normal form, width or case folds alike, and every folded character knows the
characters of the text that it stands for.
"""

from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

import regex

SEARCHED_CHARS = 10_000
"""Of a folded text; what stands behind isn't found. Twice what a message may have unless it is set otherwise."""

CLUSTER = regex.compile(r"\p{RI}{2}(?=\p{RI})|\X")
r"""What `\X` alone matches; but that looks back over a whole row of flags, at each flag of it."""
PICTURE = regex.compile(r"[\p{Extended_Pictographic}\p{Regional_Indicator}\u20e3]")
MARKED = regex.compile(r"([\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}])\p{M}+")
INVISIBLE = regex.compile(r"[\u00ad\u0640\u061c\u200c-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")
"""Soft hyphens, joiners, directions, variants, and the stroke that lengthens Arabic words."""
SELECTOR = regex.compile(r"[\ufe0e\ufe0f]")
PLAIN = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
"""Letters whose stroke isn't a mark of its own in Unicode."""


class Origin(NamedTuple):
    """Where each folded character comes from: it stands for the characters from start to end."""

    starts: list[int]
    ends: list[int]


def fold(text: str) -> str:
    """Return a text as it is searched, its first `SEARCHED_CHARS` characters."""
    if text.isascii():
        return text.lower()[:SEARCHED_CHARS]
    return "".join(map(_fold_cluster, CLUSTER.findall(text)))[:SEARCHED_CHARS]


def origin(text: str) -> Origin:
    """Return where each character of `fold(text)` comes from: always whole characters as readers see them."""
    found = Origin([], [])
    for cluster in CLUSTER.finditer(text):
        length = len(_fold_cluster(cluster.group()))
        found.starts.extend([cluster.start()] * length)
        found.ends.extend([cluster.end()] * length)
    return found


@lru_cache(maxsize=8192)
def _fold_cluster(cluster: str) -> str:
    if PICTURE.search(cluster):
        return SELECTOR.sub("", cluster)
    plain = normalize("NFKD", normalize("NFKD", INVISIBLE.sub("", cluster)).casefold()).translate(PLAIN)
    return normalize("NFKC", MARKED.sub(r"\1", plain))

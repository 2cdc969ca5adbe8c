"""Names of people, made harmless: they choose them freely, and they stand within our sentences."""

import re
import unicodedata

LONGEST_NAME = 30
NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
SCHEME = re.compile(r"\w+://|(?<=\w)/")
DOTTED = re.compile(r"\.(?=\w)")

ISOLATE, POP = "\u2068", "\u2069"
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def harmless(name: str) -> str:
    """Return a name that fits, on one line, and that no telephone turns into a link."""
    one_line = " ".join(NOT_PRINTED.sub(" ", name).split())
    unlinked = DOTTED.sub(". ", SCHEME.sub(" ", one_line)).strip()
    return unlinked if len(unlinked) <= LONGEST_NAME else unlinked[: LONGEST_NAME - 3].rstrip() + "..."


def isolated(name: str, *, among_right_to_left: bool) -> str:
    """Return a name that doesn't turn the words around it: in isolates, where its direction may be another.

    Source: Unicode Standard Annex 9, 2.4.
    """
    return f"{ISOLATE}{name}{POP}" if among_right_to_left or _turns(name) else name


def _turns(name: str) -> bool:
    return any(unicodedata.bidirectional(letter) in RIGHT_TO_LEFT for letter in name)

"""What people answer to an SMS: whether they want no more of them, want them again, or need help.

The law asks that any reasonable wording be understood as "stop"; so in doubt, it is.
"""

import re
from typing import Literal

import msgspec

Wish = Literal["stop", "start", "help"]

STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"}
START = {"START", "UNSTOP", "YES"}
HELP = {"HELP", "INFO"}
STOP_WORDING = re.compile(
    r"\b(UNSUBSCRIBE|OPT(ING|ED)? ?OUT|STOPALL|REVOKE)\b"
    r"|\b(PLEASE|PLS) (STOP|CANCEL|END|QUIT)\b"
    r"|\bSTOP (ALL|IT|NOW|PLEASE|PLS|THIS|THESE|THE|TEXT(S|ING)?|MESSAG(ES?|ING)|SENDING|CONTACTING|SMS)\b"
    r"|\b(DO NOT|DONT|NEVER|QUIT) (TEXT|TEXTING|MESSAGE|MESSAGING|SEND|SENDING|CONTACT|CONTACTING|SMS)\b"
    r"|\bNO MORE (TEXTS?|MESSAGES?|SMS)\b"
    r"|\b(REMOVE|TAKE) ME\b|\bLEAVE ME ALONE\b"
)


class Understood(msgspec.Struct, frozen=True):
    """A wish. `keyword`: put in one of the words that providers answer by themselves."""

    wish: Wish
    keyword: bool


def understand(body: str) -> Understood | None:
    """Return what an answer asks for; None for anything else."""
    words = " ".join(re.sub(r"[^\w\s]", "", body.upper().replace("-", " ")).split())
    for wish, keywords in (("stop", STOP), ("start", START), ("help", HELP)):
        if words in keywords:
            return Understood(wish, keyword=True)  # type: ignore[arg-type]
    return Understood("stop", keyword=False) if STOP_WORDING.search(words) else None

"""What becomes of words in an SMS, and what it costs. Source of the alphabet: 3GPP TS 23.038, 6.2.1."""

import re

import msgspec

from modules.notifications.wording.names import ISOLATE, POP
from modules.notifications.wording.words import Words

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_TWO_SEPTETS = frozenset("^{}\\[~]|€\f")

UNSHOWN = str.maketrans(dict.fromkeys(ISOLATE + POP, ""))
SPACES = re.compile("[\u00a0\u2007\u2009\u202f]")


class Length(msgspec.Struct, frozen=True):
    """What a text costs."""

    gsm7: bool
    segments: int


def sms(words: Words) -> str:
    """Return the text of an SMS: one line and the link.

    Isolates are left out, because older telephones print them, and spaces that hold numbers together are plain ones,
    because one character outside GSM-7 more than halves what fits.
    """
    return f"{SPACES.sub(' ', words.text.translate(UNSHOWN))}\n{words.link}"


def length(text: str) -> Length:
    """Count segments: 160 or 153 septets each in GSM-7; 70 or 67 UTF-16 units once a character isn't in it."""
    if set(text) <= GSM7 | GSM7_TWO_SEPTETS:
        return Length(gsm7=True, segments=_segments([1 + (c in GSM7_TWO_SEPTETS) for c in text], 160, 153))
    return Length(gsm7=False, segments=_segments([len(c.encode("utf-16-be")) // 2 for c in text], 70, 67))


def _segments(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    segments, used = 1, 0
    for width in widths:  # a character is never split between two segments
        if used + width > part:
            segments, used = segments + 1, 0
        used += width
    return segments

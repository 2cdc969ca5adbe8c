"""What an SMS says: who wrote and how much, never what. Our own words keep to GSM-7, so that a name decides."""

import re
from collections.abc import Sequence

import msgspec

LONGEST_NAME = 40
NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
SCHEME = re.compile(r"\w+://|(?<=\w)/")
DOTTED = re.compile(r"\.(?=\w)")

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_TWO_SEPTETS = frozenset("^{}\\[~]|€\f")


class Length(msgspec.Struct, frozen=True):
    """What a text costs."""

    gsm7: bool
    segments: int


class Words(msgspec.Struct, frozen=True):
    """What a message says, for each transport to put together: never what was written. `locale`: BCP 47."""

    title: str
    text: str
    link: str
    locale: str


def words(locale: str | None, count: int, senders: Sequence[str], link: str) -> Words:  # noqa: ARG001 - English only
    """Say that `count` messages wait, in the recipient's language as far as there are texts in it."""
    return Words(title="Parley", text=about_messages(count, senders), link=link, locale="en")


def about_messages(count: int, senders: Sequence[str]) -> str:
    """Say that `count` messages wait. `senders`: display names, the newest last, who is the one named."""
    messages = "a new message" if count == 1 else f"{count} new messages"
    return f"You have {messages}{_from(senders)}"


def _from(senders: Sequence[str]) -> str:
    name = harmless(senders[-1]) if senders else ""
    if not name:
        return ""
    others = len(senders) - 1
    if not others:
        return f" from {name}"
    return f" from {name} and {others} other{'s' if others > 1 else ''}"


def harmless(name: str) -> str:
    """Return a name that fits, on one line, and that no telephone turns into a link: people choose it freely."""
    one_line = " ".join(NOT_PRINTED.sub(" ", name).split())
    unlinked = DOTTED.sub(". ", SCHEME.sub(" ", one_line)).strip()
    return unlinked if len(unlinked) <= LONGEST_NAME else unlinked[: LONGEST_NAME - 3].rstrip() + "..."


def body_of(words: Words) -> str:
    """Return the body of an SMS."""
    return f"{words.text}\n{words.link}"


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

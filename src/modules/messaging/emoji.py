"""What may be a reaction: one emoji of Unicode's, whichever, seen by a reader as one sign."""

import regex

from kernel.errors import malformed_field
from kernel.text import pattern

OUTSIDE = r"\x00-\x22\x24-\x29\x2b-\x2f\x3a-\xa8\xaa-\xad\xaf-\u200c"
EMOJI = pattern(rf"\A[^{OUTSIDE}]{{1,32}}\Z", "must be one emoji")
"""What a schema can say of it: nothing of what no emoji has in it. The rest is up to `is_emoji`."""

MAX_CODE_POINTS = 32
"""The longest in use, families and flags of regions, have some fifteen."""

GRAPHEME = regex.compile(r"\A\X\Z")
PART = (
    r"\p{Emoji}(?:\p{Emoji_Modifier}\ufe0f?|[\ufe0e\ufe0f]?\u20e3|[\ufe0e\ufe0f]|[\U000e0020-\U000e007e]+\U000e007f)?"
)
SEQUENCE = regex.compile(rf"\A(?:\p{{Regional_Indicator}}{{2}}|{PART}(?:\u200d{PART})*)\Z")
"""As Unicode builds them (UTS #51): nothing that a reader wouldn't see, such as a joiner that joins nothing. Else there
would be several reactions that look the same."""
PICTURE = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\ufe0f?\u20e3")


def is_emoji(text: str) -> bool:
    """Whether `text` is exactly one emoji: also with skin tone, joined, a flag or a keycap."""
    if not 0 < len(text) <= MAX_CODE_POINTS:
        return False
    return all(kind.search(text) is not None for kind in (GRAPHEME, SEQUENCE, PICTURE))


def one_emoji(text: str, pointer: str) -> str:
    """Return `text` as it is; `pointer` says where it came in.

    Raises:
        MalformedError: it isn't one emoji.
    """
    if not is_emoji(text):
        raise malformed_field(pointer, "must be one emoji")
    return text

"""Texts for invitations, with places that the server fills in."""

import re

MAX_TEXT_CHARS = 200
"""With a name of 100 characters and a title of 200 in its places, the text is still a message (500)."""

INVITOR, CHANNEL = "{invitor}", "{channel}"
PLACE = re.compile(r"\{invitor\}|\{channel\}")


def text_problem(text: str) -> str | None:
    """Say what is wrong with the braces of a text."""
    for place in (INVITOR, CHANNEL):
        if text.count(place) > 1:
            return f"{place} may be there once"
    if re.search(r"[{}]", PLACE.sub("", text)):
        return f"{INVITOR} and {CHANNEL} are the only places to fill in, and no other braces are accepted"
    return None


def needs_channel(text: str) -> bool:
    """Whether a text makes sense for channels only."""
    return CHANNEL in text


def filled(text: str, *, invitor: str, channel: str | None) -> str:
    """Return a text with its places filled in, in one pass: braces in a name are only braces."""
    values = {INVITOR: invitor, CHANNEL: channel or ""}
    return PLACE.sub(lambda place: values[place[0]], text)

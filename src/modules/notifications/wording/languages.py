"""The languages that people are told things in, by their tags (BCP 47)."""

from collections.abc import Iterator, Mapping

import msgspec
from babel import Locale, UnknownLocaleError

from modules.notifications.wording.catalogue import Entry


class Language(msgspec.Struct, frozen=True):
    """A language and what can be said in it."""

    tag: str
    right_to_left: bool
    entries: Mapping[str, Entry]


def canonical(tag: str) -> str:
    """Return a tag as it is usually written: `pt_br` as `pt-BR`.

    Raises:
        ValueError: it is no language that Babel's data know.
    """
    return str(babel_locale(tag)).replace("_", "-")


def babel_locale(tag: str) -> Locale:
    """Return what Babel knows of a language.

    Raises:
        ValueError: it knows nothing.
    """
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f"{tag!r} is not a language that is known") from error


def looked_up(locale: str) -> Iterator[str]:
    """Yield the languages that would serve somebody, best first: `pt-br`, `pt`. Source: RFC 4647, 3.4."""
    parts = locale.replace("_", "-").lower().split("-")
    while parts:
        yield "-".join(parts)
        parts.pop()
        if parts and len(parts[-1]) == 1:  # an introducer of what has just gone, as in `de-u-co-phonebk`
            parts.pop()

"""Chooses the language and says it. Built once at start; what could go wrong with a catalogue went wrong then."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path

import structlog
from babel.numbers import format_decimal

from kernel.settings import Settings, SettingsError
from modules.notifications.ports import InviteNews
from modules.notifications.wording.catalogue import CatalogueError, Entry, read
from modules.notifications.wording.keys import SHAPES
from modules.notifications.wording.languages import Language, babel_locale, canonical, looked_up
from modules.notifications.wording.names import harmless, isolated
from modules.notifications.wording.words import Words

log = structlog.get_logger(__name__)

OURS = "en"
"""The language that has every text."""
SUFFIX = ".po"


class Texts:
    """What can be said, and in which languages."""

    def __init__(self, entries: Mapping[str, Mapping[str, Entry]], *, default: str = OURS) -> None:
        """Take entries by language. `default`: for people whose own language there isn't, or isn't known."""
        self._languages = {tag.lower(): _language(tag, entries[tag]) for tag in entries}
        self._default = default.lower()

    @cached_property
    def tags(self) -> list[str]:
        """The languages that there are."""
        return sorted(language.tag for language in self._languages.values())

    def language(self, locale: str | None) -> Language:
        """Return the language for somebody of that locale, whatever it holds; where there is none, the default."""
        return next(self._chain(locale))

    def say(self, locale: str | None, key: str, *, number: int = 0, **values: str) -> str:
        """Return a text. Where a language lacks it, the next more general one has it, in the end English."""
        return self._found(locale, key).say(number, values)

    def words(self, locale: str | None, count: int, senders: Sequence[str], link: str) -> Words:
        """Say that `count` messages wait. `senders`: display names, the newest last, who is the one named."""
        number = self._number(locale, count)
        return Words(
            title=self.say(locale, "messages.title", number=count, count=number),
            text=self._who_wrote(locale, count, number, senders),
            link=link,
            locale=self.language(locale).tag,
        )

    def invite_words(self, locale: str | None, news: InviteNews, name: str, link: str) -> Words:
        """Say what there is to tell of an invitation. `name`: the display name of the other one."""
        shown = self._shown(locale, name)
        key = f"invites.{news}"
        return Words(
            title=self.say(locale, f"{key}_title"),
            text=self.say(locale, f"{key}_from", name=shown) if shown else self.say(locale, key),
            link=link,
            locale=self.language(locale).tag,
        )

    def _who_wrote(self, locale: str | None, count: int, number: str, senders: Sequence[str]) -> str:
        name = self._shown(locale, senders[-1]) if senders else ""
        if not name:
            return self.say(locale, "messages.text", number=count, count=number)
        others = len(senders) - 1
        if not others:
            return self.say(locale, "messages.text_from", number=count, count=number, name=name)
        shown = self._number(locale, others)
        names = self.say(locale, "names.and_others", number=others, name=name, others=shown)
        return self.say(locale, "messages.text_from_several", number=count, count=number, names=names)

    def _shown(self, locale: str | None, name: str) -> str:
        """Return somebody's name as it stands in a sentence; empty if nothing of it can be shown."""
        plain = harmless(name)
        return plain and isolated(plain, among_right_to_left=self.language(locale).right_to_left)

    def _number(self, locale: str | None, number: int) -> str:
        return format_decimal(number, locale=babel_locale(self.language(locale).tag))

    def _found(self, locale: str | None, key: str) -> Entry:
        return next(language.entries[key] for language in self._chain(locale) if key in language.entries)

    def _chain(self, locale: str | None) -> Iterator[Language]:
        for tag in (*looked_up(locale or ""), *looked_up(self._default), OURS):
            if tag in self._languages:
                yield self._languages[tag]


def texts_of(settings: Settings) -> Texts:
    """Return our texts under the host's own, which are in `PARLEY_TEXTS_DIR`, a file for each language.

    Raises:
        SettingsError: the folder or a file in it can't be used, or the default language has no catalogue.
    """
    entries = our_entries()
    if settings.texts_dir is not None:
        for tag, own in _entries_in(settings.texts_dir).items():
            entries[tag] = entries.get(tag, {}) | own
    for tag in entries:
        if missing := SHAPES.keys() - entries[tag].keys():
            log.warning("texts_incomplete", language=tag, missing=sorted(missing))
    if settings.default_locale.lower() not in {tag.lower() for tag in entries}:
        known = ", ".join(sorted(entries))
        raise SettingsError([f"PARLEY_DEFAULT_LOCALE: there are texts in {known}; more come from PARLEY_TEXTS_DIR"])
    return Texts(entries, default=settings.default_locale)


def our_entries() -> dict[str, dict[str, Entry]]:
    """Return the catalogues of this package, by language."""
    folder = resources.files(__package__).joinpath("catalogues")
    files = [file for file in folder.iterdir() if file.name.endswith(SUFFIX)]
    return {_tag(file.name): read(file.read_text("utf-8"), _tag(file.name)) for file in files}


def _entries_in(folder: Path) -> dict[str, dict[str, Entry]]:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == SUFFIX)
    except OSError as error:
        raise SettingsError([f"PARLEY_TEXTS_DIR: {folder} can't be read ({error.strerror})"]) from None
    if not files:
        raise SettingsError([f"PARLEY_TEXTS_DIR: {folder} holds no catalogue, such as fr.po"])
    problems: list[str] = []
    found: dict[str, dict[str, Entry]] = {}
    for file in files:
        try:
            found[_tag(file.name)] = read(file.read_text("utf-8-sig"), _tag(file.name))
        except OSError as error:
            problems.append(f"PARLEY_TEXTS_DIR: {file} can't be read ({error.strerror})")
        except UnicodeDecodeError:
            problems.append(f"PARLEY_TEXTS_DIR: {file} is not in UTF-8")
        except (CatalogueError, ValueError) as error:
            problems.append(f"PARLEY_TEXTS_DIR: {file}, {error}")
    if problems:
        raise SettingsError(problems)
    return found


def _tag(name: str) -> str:
    return canonical(name.removesuffix(SUFFIX))


def _language(tag: str, entries: Mapping[str, Entry]) -> Language:
    return Language(tag, babel_locale(tag).text_direction == "rtl", entries)

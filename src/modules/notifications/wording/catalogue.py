"""Reads a catalogue, a PO file, and refuses one that would fail later: when something is to be sent."""

import gettext
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from string import Formatter

import msgspec
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po

from modules.notifications.wording.keys import SHAPES, Shape

LINE = re.compile(
    r"""\s*( \#.* | ((?P<keyword>msgctxt|msgid|msgid_plural|msgstr(\[\d\])?)\s+)? "(?P<text>([^"\\]|\\.)*)" )?\s*""",
    re.VERBOSE,
)
"""Lines of a PO file: what isn't one would lose its ends, unnoticed."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
COUNTED = range(1, 1001)
"""Numbers that a plural rule is tried with; the rule of each language repeats itself well before."""


class CatalogueError(Exception):
    """What is wrong with a catalogue, and in which line of it (counted from 1)."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


class Entry(msgspec.Struct, frozen=True):
    """A text in one language: its plural forms, and which of them goes with a number. One form where none is."""

    forms: tuple[str, ...]
    plural: Callable[[int], int]

    def say(self, number: int, values: Mapping[str, str]) -> str:
        """Put values where their names stand. `number` chooses the form."""
        return self.forms[self.plural(number)].format_map(values)


def read(text: str, tag: str) -> dict[str, Entry]:
    """Return the entries of a catalogue by their keys; untranslated and fuzzy ones are left out, as gettext does.

    Args:
        text: the PO file.
        tag: its language, for its plural rule where the file has no `Plural-Forms`.

    Raises:
        CatalogueError: it isn't a PO file, or an entry of it could not be used as its key is.
    """
    _check_lines(text)
    try:
        catalog = read_po(StringIO(text), locale=tag.replace("-", "_"), abort_invalid=True)
    except PoFileError as error:
        raise CatalogueError(error.lineno + 1, str(error).rpartition(" on ")[0]) from None
    except Exception as error:  # noqa: BLE001 - whatever the parser stumbles over: the file is to blame
        raise CatalogueError(1, f"can't be read ({error})") from None
    plural = _plural(catalog)
    messages = [message for message in catalog if message.id and not message.fuzzy and any(_forms(message))]
    return {_key(message): _entry(message, plural) for message in messages}


def _check_lines(text: str) -> None:
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise CatalogueError(number, "is no line of a PO file")
        if match["keyword"] == "msgid" and match["text"]:
            if match["text"] in seen:
                raise CatalogueError(number, f"{match['text']} is there twice")
            seen.add(match["text"])


def _plural(catalog: Catalog) -> Callable[[int], int]:
    problem = f"Plural-Forms can't be used: {catalog.plural_forms}"
    try:
        plural = gettext.c2py(catalog.plural_expr)
        forms = {plural(number) for number in COUNTED}
    except (ValueError, ArithmeticError) as error:
        raise CatalogueError(1, f"{problem} ({error})") from None
    if not forms <= set(range(catalog.num_plurals)):
        raise CatalogueError(1, problem)
    return plural


def _key(message: Message) -> str:
    key = str(message.id[0] if message.pluralizable else message.id)
    if key not in SHAPES or message.context:
        raise CatalogueError(_line(message), f"there is no text {message.context or key!r}")
    return key


def _entry(message: Message, plural: Callable[[int], int]) -> Entry:
    shape, forms = SHAPES[_key(message)], _forms(message)
    if bool(shape.counts) != message.pluralizable:
        wanted = "needs plural forms: msgid_plural, msgstr[0] …" if shape.counts else "has no plural forms"
        raise CatalogueError(_line(message), f"{_key(message)} {wanted}")
    for index, form in enumerate(forms):
        for problem in _problems(form, shape, _numbers(plural, index) if shape.counts else []):
            where = f"{_key(message)}, msgstr[{index}] of {len(forms)}," if shape.counts else _key(message)
            raise CatalogueError(_line(message), f"{where} {problem}")
    return Entry(forms, plural if shape.counts else lambda _: 0)


def _problems(form: str, shape: Shape, numbers: list[int]) -> Iterator[str]:
    """Say what is wrong with a form. It need not name a number, if that is the only one that it is used with."""
    if not form.strip():
        yield "is empty"
    if UNPRINTABLE.search(form):
        yield "must be one line, without control characters"
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(form) if name is not None]
    except ValueError as error:
        yield f"has braces that don't match ({error})"
        return
    names = {name for name, _, _ in fields}
    if any(spec or conversion for _, spec, conversion in fields) or names - shape.placeholders:
        allowed = ", ".join(f"{{{name}}}" for name in sorted(shape.placeholders)) or "none"
        yield f"may have these placeholders, as they are: {allowed}"
    needed = shape.placeholders - ({shape.counts} if len(numbers) <= 1 else set())
    for name in sorted(needed - names):
        yield f"lacks {{{name}}}"


def _numbers(plural: Callable[[int], int], index: int) -> list[int]:
    return [number for number in COUNTED if plural(number) == index]


def _forms(message: Message) -> tuple[str, ...]:
    string = message.string or ""
    return (string,) if isinstance(string, str) else tuple(string)


def _line(message: Message) -> int:
    return message.lineno or 1

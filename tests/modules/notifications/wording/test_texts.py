"""What is said, in whose language, and about whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.ports import InviteNews
from modules.notifications.wording.names import ISOLATE, LONGEST_NAME, POP, harmless
from modules.notifications.wording.sms import Length, length, sms
from modules.notifications.wording.texts import Texts, our_entries

LINK = "https://parley.example.com/channels/0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"
DANA = "דנה"
texts = Texts(our_entries())


@pytest.mark.parametrize(
    ("locale", "count", "senders", "says"),
    [
        ("en", 1, ["Ana"], "You have a new message from Ana"),
        ("en", 5, ["Ana"], "You have 5 new messages from Ana"),
        ("en", 5, ["Bo", "Ana"], "You have 5 new messages from Ana and 1 other"),
        ("en", 5, ["Bo", "Cy", "Ana"], "You have 5 new messages from Ana and 2 others"),
        ("en", 2, [], "You have 2 new messages"),
        ("en", 1, ["\n \t"], "You have a new message"),
        ("en", 1, ["Zoë Ångström"], "You have a new message from Zoë Ångström"),
        ("en", 1, ["Ana\nYour code is 1"], "You have a new message from Ana Your code is 1"),
        ("en", 1, ["{count} {0} {"], "You have a new message from {count} {0} {"),
        ("en", 12345, ["Ana"], "You have 12,345 new messages from Ana"),
        ("es", 1, ["Ana"], "Tienes un mensaje nuevo de Ana"),
        ("es", 5, ["Bo", "Ana"], "Tienes 5 mensajes nuevos de Ana y otra persona"),
        ("es", 5, ["Bo", "Cy", "Ana"], "Tienes 5 mensajes nuevos de Ana y otros 2"),
        ("fr", 1, ["Ana"], "Ana vous a envoyé un nouveau message"),
        ("fr", 5, ["Bo", "Cy", "Ana"], "Ana et 2 autres vous ont envoyé 5 nouveaux messages"),
        ("de", 12345, ["Bo", "Ana"], "Sie haben 12.345 neue Nachrichten von Ana und noch jemandem"),
    ],
)
def test_who_wrote_and_how_much_but_not_what(locale: str, count: int, senders: list[str], says: str) -> None:
    words = texts.words(locale, count, senders, LINK)
    assert (words.text, words.link, words.locale) == (says, LINK, locale)
    assert sms(words) == f"{says}\n{LINK}"


@pytest.mark.parametrize(
    ("locale", "news", "name", "says"),
    [
        ("en", "received", "Ana", "Ana invited you"),
        ("en", "received", "\u200b", "Somebody invited you"),
        ("en", "received", "Ana.example/x", "Ana. example x invited you"),
        ("en", "reminder", "Ana", "The invitation from Ana still waits for your answer"),
        ("en", "accepted", "Ben", "Ben accepted your invitation"),
        ("en", "accepted", DANA, f"{ISOLATE}{DANA}{POP} accepted your invitation"),
        ("es", "received", "Ana", "Ana te ha invitado"),
        ("es", "accepted", "Ben", "Ben ha aceptado una de tus invitaciones"),
        ("fr", "received", "Ana", "Ana vous a envoyé une invitation"),
        ("fr", "accepted", "", "Votre invitation a été acceptée"),
        ("de", "reminder", "Ana", "Die Einladung von Ana wartet noch auf Ihre Antwort"),
        ("pt-BR", "accepted", "Ben", "Ben accepted your invitation"),
    ],
)
def test_who_invites_whom_but_not_to_what(locale: str, news: InviteNews, name: str, says: str) -> None:
    words = texts.invite_words(locale, news, name, LINK)
    assert (words.text, words.link) == (says, LINK)
    assert not name.strip("\u200b") or name not in words.title


def test_a_title_names_nobody() -> None:
    assert texts.words("en", 1, ["Ana"], LINK).title == "New message"
    assert texts.words("fr", 3, ["Ana"], LINK).title == "3 nouveaux messages"


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR-ca", "fr"),
        ("fr_CA", "fr"),
        ("de-DE-u-co-phonebk", "de"),
        ("es-419", "es"),
        ("pt-BR", "en"),
        ("x-klingon", "en"),
        ("frr", "en"),
        ("", "en"),
        (None, "en"),
        ("-", "en"),
        ("\x00\ud800", "en"),
        ("a" * 10_000, "en"),
    ],
)
def test_a_locale_leads_to_the_nearest_language(locale: str | None, tag: str) -> None:
    assert texts.language(locale).tag == tag
    assert texts.words(locale, 1, ["Ana"], LINK).locale == tag


@given(st.text(max_size=40))
def test_any_locale_leads_to_some_language(locale: str) -> None:
    assert texts.words(locale, 2, ["Ana"], LINK).locale in texts.tags


def test_the_default_is_for_those_whose_language_there_is_not() -> None:
    spanish = Texts(our_entries(), default="es-MX")
    assert [spanish.language(locale).tag for locale in (None, "pt", "nonsense!", "fr")] == ["es", "es", "es", "fr"]


@pytest.mark.parametrize("name", ["http://evil.example/x", "evil.example", "www.evil.example", "https://a.b", "a/b.c"])
def test_a_name_is_never_a_link(name: str) -> None:
    assert "://" not in harmless(name)
    assert not any("." in word.strip(".") or "/" in word for word in harmless(name).split())


@given(st.text(max_size=100))
def test_any_name_fits_on_one_line(name: str) -> None:
    shown = harmless(name)
    assert len(shown) <= LONGEST_NAME
    assert len(shown.splitlines()) <= 1
    assert shown == shown.strip()


def test_a_name_that_runs_the_other_way_is_isolated_but_not_in_an_sms() -> None:
    words = texts.words("en", 2, ["Bo", DANA], LINK)
    assert words.text == f"You have 2 new messages from {ISOLATE}{DANA}{POP} and 1 other"
    assert sms(words) == f"You have 2 new messages from {DANA} and 1 other\n{LINK}"
    assert ISOLATE not in texts.words("en", 2, ["Zoë"], LINK).text


def test_a_name_brings_no_isolates_or_overrides_of_its_own() -> None:
    name = f"\u202e{POP}{DANA}\u2067\u200f"
    assert texts.words("en", 1, [name], LINK).text == f"You have a new message from {ISOLATE}{DANA}{POP}"


def test_spaces_within_numbers_cost_no_segment() -> None:
    words = texts.words("fr", 12345, ["Ana"], LINK)
    assert "12\u202f345" in words.text
    assert length(sms(words)) == Length(gsm7=True, segments=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Length(gsm7=True, segments=1)),
        ("x" * 160, Length(gsm7=True, segments=1)),
        ("x" * 161, Length(gsm7=True, segments=2)),
        ("x" * 306, Length(gsm7=True, segments=2)),
        ("x" * 307, Length(gsm7=True, segments=3)),
        ("€" * 80, Length(gsm7=True, segments=1)),
        ("€" * 81, Length(gsm7=True, segments=2)),
        ("ł" * 70, Length(gsm7=False, segments=1)),
        ("ł" * 71, Length(gsm7=False, segments=2)),
        ("x" * 69 + "🙂", Length(gsm7=False, segments=2)),
        ("🙂" * 34, Length(gsm7=False, segments=1)),
    ],
)
def test_length_in_segments(text: str, expected: Length) -> None:
    assert length(text) == expected

"""A host's own catalogues: they go before ours, and what is wrong with one is said at start, with file and line."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.settings import Settings, SettingsError
from modules.notifications.wording.catalogue import CatalogueError, read
from modules.notifications.wording.names import ISOLATE
from modules.notifications.wording.texts import Texts, texts_of
from tests.modules.notifications.wording.conftest import HEADER
from tests.support.servers import PARLEY, environment

LINK = "https://parley.example/channels/1"
POLISH = """
msgid ""
msgstr ""
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\\n"

msgid "messages.text_from"
msgid_plural "messages.text_from"
msgstr[0] "Masz nową wiadomość od {name}"
msgstr[1] "Masz {count} nowe wiadomości od {name}"
msgstr[2] "Masz {count} nowych wiadomości od {name}"
""".strip()
PLURAL = 'msgid "messages.text"\nmsgid_plural "messages.text"\nmsgstr[0] "{}"\nmsgstr[1] "{}"\n'
BUTTON = 'msgid "unsubscribe.button"\nmsgstr "{}"\n'
Overridden = Callable[..., Texts]


def test_a_hosts_words_go_before_ours_and_ours_fill_the_rest(overridden: Overridden) -> None:
    texts = overridden(en=BUTTON.format("Never again"))
    assert texts.say("en", "unsubscribe.button") == "Never again"
    assert texts.say("en-GB", "unsubscribe.button") == "Never again"
    assert texts.say("en", "email.open") == "Open the conversation"
    assert texts.say("fr", "unsubscribe.button") == "Se désabonner"


def test_a_regional_language_goes_before_the_general_one(overridden: Overridden) -> None:
    texts = overridden({"pt.po": BUTTON.format("Cancelar"), "pt_BR.po": BUTTON.format("Descadastrar")})
    said = [texts.say(locale, "unsubscribe.button") for locale in ("pt-BR", "PT_br", "pt-PT", "pt", "fr-CA")]
    assert said == ["Descadastrar", "Descadastrar", "Cancelar", "Cancelar", "Se désabonner"]
    assert texts.say("pt-BR", "email.open") == "Open the conversation"


@pytest.mark.parametrize(
    ("count", "says"), [(1, "nową wiadomość"), (2, "2 nowe wiadomości"), (12, "12 nowych"), (22, "22 nowe wiad")]
)
def test_a_new_language_counts_by_its_own_rule(overridden: Overridden, count: int, says: str) -> None:
    words = overridden(pl=POLISH).words("pl-PL", count, ["Ana"], LINK)
    assert says in words.text
    assert words.locale == "pl"


def test_without_a_rule_in_the_file_the_language_is_known(overridden: Overridden) -> None:
    arabic = 'msgid "names.and_others"\nmsgid_plural "names.and_others"\n' + "".join(
        f'msgstr[{index}] "{{name}} ({index}) {{others}}"\n' for index in range(6)
    )
    texts = overridden(ar=arabic)
    said = [texts.say("ar", "names.and_others", number=n, name="X", others=str(n)) for n in (0, 1, 2, 3, 11, 100)]
    assert said == ["X (0) 0", "X (1) 1", "X (2) 2", "X (3) 3", "X (4) 11", "X (5) 100"]


def test_in_a_language_that_runs_right_to_left_every_name_is_isolated(overridden: Overridden) -> None:
    rule = 'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    hebrew = PLURAL.replace("messages.text", "messages.text_from").format("{name}", "{name} {count}")
    assert overridden(he=rule + hebrew).words("he", 3, ["Ana"], LINK).text.startswith(f"{ISOLATE}Ana")


def test_fuzzy_and_untranslated_entries_count_as_none(overridden: Overridden) -> None:
    texts = overridden(fr="#, fuzzy\n" + BUTTON.format("Peut-être {") + 'msgid "email.open"\nmsgstr ""\n')
    assert texts.say("fr", "unsubscribe.button") == "Se désabonner"
    assert texts.say("fr", "email.open") == "Ouvrir la conversation"


def test_a_default_language_may_come_from_the_host(overridden: Overridden, tmp_path: Path) -> None:
    overridden(pl=POLISH)
    texts = texts_of(Settings(texts_dir=tmp_path, default_locale="PL"))
    assert texts.language("tlh").tag == "pl"
    with pytest.raises(SettingsError, match="PARLEY_DEFAULT_LOCALE: there are texts in de, en, es, fr;"):
        texts_of(Settings(default_locale="pl"))


BAD = [
    (BUTTON.format("Stop {count}"), 4, "unsubscribe.button may have these placeholders, as they are: none"),
    (BUTTON.format("Stop {"), 4, "braces that don't match"),
    (BUTTON.format("Stop }"), 4, "braces that don't match"),
    (BUTTON.format(r"two\nlines"), 4, "must be one line"),
    (BUTTON.format("   "), 4, "is empty"),
    (BUTTON.format("a") + "\n" + BUTTON.format("b"), 7, "unsubscribe.button is there twice"),
    ('msgid "unsubscribe.buton"\nmsgstr "x"\n', 4, "there is no text 'unsubscribe.buton'"),
    ('msgctxt "c"\n' + BUTTON.format("x"), 5, "there is no text"),
    ('msgid "unsubscribe.button"\nmsgstr Stop\n', 5, "is no line of a PO file"),
    ('msgid "unsubscribe.button"\nmsgstr "Stop\n', 5, "is no line of a PO file"),
    ('msgid "unsubscribe.button"\n', 4, "missing msgstr"),
    ("<<<<<<< ours\n", 4, "is no line of a PO file"),
    (PLURAL.format("one", "many"), 4, "messages.text, msgstr[1] of 2, lacks {count}"),
    (PLURAL.format("one", ""), 4, "messages.text, msgstr[1] of 2, is empty"),
    (PLURAL.format("one", "{count} {name}"), 4, "may have these placeholders, as they are: {count}"),
    (PLURAL.format("one", "{}"), 4, "may have these placeholders"),
    (PLURAL.format("one", "{count!r}"), 4, "may have these placeholders"),
    (PLURAL.format("one", "{count:>99999999}"), 4, "may have these placeholders"),
    (PLURAL.format("one", "{count.__class__}"), 4, "may have these placeholders"),
    (PLURAL.format("one", "{count}") + 'msgstr[2] "{count}"\n', 4, "more translations than num_plurals"),
    ('msgid "messages.text"\nmsgstr "{count}"\n', 4, "needs plural forms"),
    ('msgid "email.open"\nmsgid_plural "email.open"\nmsgstr[0] "a"\nmsgstr[1] "b"\n', 4, "has no plural forms"),
]


@pytest.mark.parametrize(("text", "line", "problem"), BAD)
def test_what_is_wrong_with_a_catalogue_is_said_at_start(
    overridden: Overridden, text: str, line: int, problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        overridden(de=text)
    [said] = caught.value.problems
    assert f"de.po, line {line}: " in said
    assert problem in said


def test_the_form_for_1_21_31_needs_its_number(overridden: Overridden) -> None:
    russian = PLURAL.format("Новое сообщение", "{count} новых") + 'msgstr[2] "{count} новых"\n'
    with pytest.raises(SettingsError, match=r"messages\.text, msgstr\[0\] of 3, lacks {count}"):
        overridden(ru=russian)


@pytest.mark.parametrize(
    "rule", ["nplurals=2; plural=n", "nplurals=2; plural=1/0", "nplurals=x; plural=0", "nplurals=1; plural=__import__"]
)
def test_a_plural_rule_that_leads_nowhere_is_refused(rule: str) -> None:
    with pytest.raises(CatalogueError):
        read(f'msgid ""\nmsgstr "Plural-Forms: {rule};\\n"\n\n' + PLURAL.format("a", "{count}"), "fr")


@pytest.mark.parametrize("name", ["xx.po", "french.po", "fr-.po", "en GB.po"])
def test_a_file_is_named_for_its_language(overridden: Overridden, name: str) -> None:
    with pytest.raises(SettingsError, match="not a language that is known"):
        overridden({name: BUTTON.format("x")})


def test_all_files_that_are_wrong_are_named(overridden: Overridden, tmp_path: Path) -> None:
    (tmp_path / "es.po").write_bytes(b'msgid ""\nmsgstr "\xff"\n')
    (tmp_path / "de.po").mkdir()
    (tmp_path / "README.md").write_text("not a catalogue")
    with pytest.raises(SettingsError) as caught:
        overridden(fr=BUTTON.format("{"))
    assert [problem.split(str(tmp_path))[1][:6] for problem in caught.value.problems] == ["/de.po", "/es.po", "/fr.po"]


@pytest.mark.parametrize("what", ["missing", "a file", "empty"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="PARLEY_TEXTS_DIR: "):
        texts_of(Settings(texts_dir=tmp_path / what))


@given(st.text(st.sampled_from('msgid"str[]01\\\n #~,:{}count'), max_size=200))
def test_any_file_is_read_or_refused(text: str) -> None:
    with suppress(CatalogueError):
        read(HEADER + text, "fr")


def test_neither_the_server_nor_its_check_starts_with_a_wrong_catalogue(tmp_path: Path) -> None:
    (tmp_path / "fr.po").write_text(BUTTON.format("{"), encoding="utf-8")
    surroundings = environment("postgresql://nobody@127.0.0.1:1/x", tmp_path, PARLEY_TEXTS_DIR=str(tmp_path))
    for command in ("check-config", "serve"):
        run = subprocess.run([PARLEY, command], env=surroundings, capture_output=True, text=True, check=False)
        assert run.returncode == 2, run.stderr
        assert f"{tmp_path / 'fr.po'}, line 1: unsubscribe.button has braces that don't match" in run.stderr

"""What is found by what, in which scripts; and that the index never knows less than the comparison."""

import time
from unicodedata import normalize
from uuid import uuid4

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import MalformedError
from modules.messaging.search.folding import CLUSTER, SEARCHED_CHARS, fold, origin
from modules.messaging.search.query import MAX_HIGHLIGHTS, Query
from modules.messaging.search.terms import INDEXED_CHARS, block_key, terms, vector
from tests.modules.messaging.search.library import highlighted

FOUND = [
    # text, query, what is highlighted
    ("Nos vemos en el Café Ñandú", "cafe nandu", ["Café", "Ñandú"]),
    ("Nos vemos en el cafe", "CAFÉ", ["cafe"]),
    ("Cafe\u0301 ya", "café", ["Cafe\u0301"]),
    ("Große Straße 5", "strasse", ["Straße"]),
    ("GROSSE STRASSE", "große", ["GROSSE"]),
    ("İstanbul'da IŞIK", "istanbul ışık", ["İstanbul", "IŞIK"]),
    ("ışıklar", "isik", ["ışık"]),
    ("Łódź, Ærøskøbing", "lodz aeroskobing", ["Łódź", "Ærøskøbing"]),
    ("Ο ΣΊΣΥΦΟΣ ανεβαίνει", "σίσυφος", ["ΣΊΣΥΦΟΣ"]),
    ("σίσυφος", "ΣΙΣΥΦΟΣ", ["σίσυφος"]),
    ("Ёлка стоит у ворот", "елка ВОРОТ", ["Ёлка", "ворот"]),
    ("مُحَمَّدٌ عند البوابة", "محمد", ["مُحَمَّدٌ"]),
    ("عند البـــوابة الشرقية", "البوابة", ["البـــوابة"]),
    ("שָׁלוֹם לכולם", "שלום", ["שָׁלוֹם"]),
    ("कल सुबह मिलते हैं", "सुबह", ["सुबह"]),
    ("किताब", "कि", ["कि"]),
    ("พรุ่งนี้เจอกันที่ประตู", "เจอกัน", ["เจอกัน"]),
    ("ພົບກັນຢູ່ປະຕູ", "ຢູ່ປະຕູ", ["ຢູ່ປະຕູ"]),
    ("ជួបគ្នានៅមាត់ទ្វារ", "មាត់ទ្វារ", ["មាត់ទ្វារ"]),
    ("တံခါးမှာတွေ့မယ်", "တွေ့မယ်", ["တွေ့မယ်"]),
    ("明天早上七点请到东门来", "东门", ["东门"]),
    ("明天早上七点请到东门来", "来", ["来"]),
    ("明天早上七点请到东门来", "七点 明天", ["明天", "七点"]),
    ("明日の朝、東京タワーで会いましょう", "京タワ", ["京タワ"]),
    ("ﾄｳｷｮｳ ﾀﾜｰ", "タワー", ["ﾀﾜｰ"]),
    ("か\u3099っこう", "がっ", ["か\u3099っ"]),
    ("내일 아침에 정문에서 만나요", "문에", ["문에"]),
    (normalize("NFD", "정문에서"), "문에", [normalize("NFD", "문에")]),
    ("iPhone手机在这里", "iphone 手机", ["iPhone手机"]),
    ("well done 👍🏽!", "👍", ["👍🏽"]),
    ("the family 👩‍👩‍👧 is here", "👩‍👩‍👧", ["👩‍👩‍👧"]),
    ("the family 👩‍👩‍👧 is here", "👩", ["👩‍👩‍👧"]),
    ("from 🇩🇪 to 🇫🇷", "🇫🇷", ["🇫🇷"]),
    ("love ❤️", "❤", ["❤️"]),
    ("press 1️⃣", "1️⃣", ["1️⃣"]),
    ("ＦＵＬＬ ｗｉｄｔｈ ﬁne", "full width fine", ["ＦＵＬＬ", "ｗｉｄｔｈ", "ﬁne"]),
    ("a co\u00adop\u200bera\u200dtion", "coop eration", ["co\u00adop", "era\u200dtion"]),
    ("booking b-1042", "B-1042", ["b", "b", "1042"]),
    ("snake_case", "case", ["case"]),
    ("gate, gates, GATEWAY", "gate", ["gate", "gate", "GATE"]),
    ("<b>gate</b> & 'gate'", "gate", ["gate", "gate"]),
    ("ana ana", "a an ana", ["ana", "ana"]),
]
NOT_FOUND = [
    ("navigate", "gate"),
    ("gate", "gates"),
    ("gate", "gate crane"),
    ("कीताब", "कि"),
    ("东大门", "东门"),
    ("门东", "东门"),
    ("东 门", "东门"),
    ("👍", "👎"),
    ("👍", "👍🏽"),
    ("🇩🇪🇫🇷", "🇪🇫"),
    ("", "gate"),
    ("...", "gate"),
]


@pytest.mark.parametrize(("text", "q", "parts"), FOUND)
def test_it_is_found_and_marked(text: str, q: str, parts: list[str]) -> None:
    assert highlighted(q, text) == parts


@pytest.mark.parametrize(("text", "q"), NOT_FOUND)
def test_it_is_not_found(text: str, q: str) -> None:
    assert highlighted(q, text) is None


@pytest.mark.parametrize("q", ["", " ", "...", "!?-—«»", "\u200d\u00ad", "\u0301", "_", "、。"])
def test_a_query_that_asks_for_nothing_is_refused(q: str) -> None:
    with pytest.raises(MalformedError, match=r"\?q"):
        Query.parse(q)


def test_a_query_has_at_most_ten_words_repeats_not_counted() -> None:
    assert len(Query.parse("a b c d e f g h i j a b c").parts) == 10
    with pytest.raises(MalformedError, match="at most 10 words"):
        Query.parse("a b c d e f g h i j k")


def test_there_is_an_end_to_highlights_and_to_what_is_searched() -> None:
    spans = Query.parse("a").highlights("a " * 1000)
    assert spans is not None
    assert len(spans) == MAX_HIGHLIGHTS
    assert highlighted("end", "x" * (SEARCHED_CHARS - 4) + " end") == ["end"]
    assert highlighted("end", "x" * SEARCHED_CHARS + " end") is None
    assert highlighted("end", "é" + "x" * SEARCHED_CHARS + " end") is None


LATIN = ["gate", "GATE", "Straße", "İ", "é", "e\u0301", "ñ", "ﬁ", "x" * 70, "℡", "½", "1️⃣"]
MARKED = ["ς", "ΐ", "ё", "مُ", "ﷺ", "שָׁ", "कि"]
UNSPACED = ["ก็", "ำ", "东", "门", "東京", "ガ", "か\u3099", "ｶﾞ", "문", normalize("NFD", "문"), "㍿"]
PICTURES = ["👍🏽", "👩‍👩‍👧", "🇩🇪", "❤️"]
BETWEEN = ["\u00ad", "\u200d", "\u200b", " ", "-", ".", "\r\n"]
PIECES = st.sampled_from(LATIN + MARKED + UNSPACED + PICTURES + BETWEEN)
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=30))


@given(TEXTS)
def test_every_folded_character_knows_where_it_comes_from(text: str) -> None:
    folded, (starts, ends) = fold(text), origin(text)
    assert len(folded) == len(starts) == len(ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts)


@given(TEXTS)
def test_normal_forms_and_case_fold_alike(text: str) -> None:
    assert fold(normalize("NFC", text)) == fold(normalize("NFD", text))


@given(TEXTS, st.data())
def test_a_text_is_found_by_each_of_its_terms_and_parts_of_them(text: str, data: st.DataObject) -> None:
    there = list(terms(fold(text)))
    if there:
        term = data.draw(st.sampled_from(there))
        start = data.draw(st.integers(0, len(term.text) - 1)) if term.is_run else 0
        end = data.draw(st.integers(start + 1, len(term.text)))
        part = term.text[start:end]
        if [one.text for one in terms(fold(part))] == [part]:
            assert Query([*terms(fold(part))]).highlights(text)


@given(TEXTS, TEXTS)
def test_what_matches_is_what_the_index_finds(text: str, q: str) -> None:
    wanted = list(terms(fold(q)))
    if wanted and Query(wanted).highlights(text) is not None:
        assert finds(text, Query(wanted).parts)


def test_the_check_notices_an_index_that_knows_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: only whole words are indexed."""
    assert finds("gates", Query.parse("gate").parts)
    assert not finds("gates", [part.rstrip(":") for part in Query.parse("gate").parts])


@given(
    st.text(
        st.sampled_from("\U0001f1e6\U0001f1e7\U0001f1e8a1# \n\u0301\u0334\u0600\u0903\u094d\u0915\u200d\ufe0f👩🏽가")
    )
)
def test_clusters_are_what_unicode_says(text: str) -> None:
    assert CLUSTER.findall(text) == regex.findall(r"\X", text)


@pytest.mark.parametrize(
    "text", ["\U0001f1e6", "\U0001f1e6\U0001f1e7\u0301", "\u0600\U0001f1e6", "👩\u200d", "e\u0301"]
)
def test_a_text_costs_what_its_length_says_whatever_it_is_made_of(text: str) -> None:
    r"""With `\X` alone a row of 40,000 halves of flags takes ten seconds."""
    long = (text * 40_000)[:40_000]
    began = time.process_time()
    fold(long)
    origin(long)
    assert time.process_time() - began < 2


def finds(text: str, parts: list[str]) -> bool:
    """Do what PostgreSQL does with a tsvector and a tsquery."""
    key = block_key(uuid4(), 0)
    lexemes = {lexeme.strip("'")[len(key) :] for lexeme in vector(key, fold(text)).split()}
    assert all(0 < len(lexeme) <= INDEXED_CHARS for lexeme in lexemes)
    return all(
        any(lexeme.startswith(part[:-1]) for lexeme in lexemes) if part.endswith(":") else part in lexemes
        for part in parts
    )

"""What an SMS says, what it costs, and what its answers mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.keywords import Understood, understand
from modules.notifications.domain.wording import LONGEST_NAME, Length, body_of, harmless, length, words

LINK = "https://parley.example.com/channels/0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"


@pytest.mark.parametrize(
    ("count", "senders", "says"),
    [
        (1, ["Ana"], "You have a new message from Ana"),
        (5, ["Ana"], "You have 5 new messages from Ana"),
        (5, ["Bo", "Ana"], "You have 5 new messages from Ana and 1 other"),
        (5, ["Bo", "Cy", "Ana"], "You have 5 new messages from Ana and 2 others"),
        (2, [], "You have 2 new messages"),
        (1, ["\n \t"], "You have a new message"),
        (1, ["Zoë Ångström"], "You have a new message from Zoë Ångström"),
        (1, ["Ana\nYour code is 1"], "You have a new message from Ana Your code is 1"),
    ],
)
def test_who_wrote_and_how_much_but_not_what(count: int, senders: list[str], says: str) -> None:
    assert body_of(words(None, count, senders, LINK)) == f"{says}\n{LINK}"


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


@given(st.integers(1, 9999), st.lists(st.from_regex(r"\A[A-Za-zÄÖÜäöüé ]{1,40}\Z"), max_size=9))
def test_with_a_plain_name_it_is_one_segment_of_gsm7(count: int, senders: list[str]) -> None:
    assert length(body_of(words(None, count, senders, LINK))) == Length(gsm7=True, segments=1)


STOP_WORD, START_WORD, HELP_WORD = (Understood(wish, keyword=True) for wish in ("stop", "start", "help"))
STOP_PHRASE = Understood("stop", keyword=False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        *(
            (word, STOP_WORD)
            for word in ("STOP", "stop", " Stop. ", "STOPALL", "Unsubscribe", "CANCEL", "end", "QUIT!")
        ),
        *((word, STOP_WORD) for word in ("REVOKE", "OPTOUT", "opt out", "Opt-Out")),
        *((word, START_WORD) for word in ("START", "unstop", "Yes")),
        *((word, HELP_WORD) for word in ("HELP", "info?")),
        *(
            (text, STOP_PHRASE)
            for text in ("please stop", "Stop texting me", "stop sending me these!", "I want to opt out")
        ),
        *((text, STOP_PHRASE) for text in ("don't text me again", "no more messages", "Remove me", "leave me alone")),
        *((text, None) for text in ("", "ok", "I'll be at the bus stop at five", "yes please", "🙂", "\x00")),
    ],
)
def test_what_an_answer_means(body: str, expected: Understood | None) -> None:
    assert understand(body) == expected

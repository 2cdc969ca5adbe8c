"""What people's answers to an SMS mean."""

import pytest

from modules.notifications.domain.keywords import Understood, understand

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

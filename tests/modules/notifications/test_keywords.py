"""What people answer: words and sentences in four languages, and what only looks like one of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.notifications.domain.keywords import Understood, understand

STOPS = {
    "en": [
        "please stop",
        "Stop texting me",
        "stop the messages",
        "don't text me again",
        "Do not contact me.",
        "no more texts!",
        "unsubscribe me",
        "I want to opt-out",
        "take me off your list",
    ],
    "es": [
        "PARAR",
        "Baja",
        "¡Basta!",
        "No me envíen más mensajes",
        "no me escriban más",
        "no quiero recibir más mensajes",
        "Dejen de escribirme",
        "quiero darme de baja",
        "no más SMS",
    ],
    "fr": [
        "Arrêt",
        "ARRETE",
        "Arrêtez de m'envoyer des SMS",
        "arretez les messages",
        "Ne m’envoyez plus de messages",
        "je ne veux plus recevoir vos sms",
        "plus de SMS svp",
        "Désabonnez-moi",
    ],
    "de": [
        "STOPP",
        "abmelden",
        "Bitte keine SMS mehr",
        "Keine Nachrichten mehr!",
        "Hören Sie auf",
        "Bitte aufhören",
        "Schicken Sie mir keine SMS mehr",
        "SMS abbestellen",
        "Lassen Sie mich in Ruhe",
    ],
}

NOTHING = [
    "",
    "ok",
    "let me know",
    "see you at the bus stop",
    "I can't stop by today",
    "stop the car at the gate",
    "Para mañana está bien",
    "fin de semana ok",
    "no me llegó el mensaje",
    "no hay más",
    "arrête le camion devant la porte",
    "il n'y a plus de place",
    "Ich komme am Ende der Woche",
    "Ich habe keine SMS bekommen",
    "die Nachricht ist angekommen",
    "🙂" * 500,
    "\x00",
]


@pytest.mark.parametrize(("language", "body"), [(language, body) for language, some in STOPS.items() for body in some])
def test_any_reasonable_wording_ends_it(language: Any, body: str) -> None:
    assert understand(body) == Understood("stop", keyword=False, language=language)
    assert understand(f"  {body.lower()} ") is not None


@pytest.mark.parametrize("body", ["STOP", "Stop.", " stop! ", "stopall", "Opt-out", "REVOKE", "end", "Quit", "cancel"])
def test_what_the_provider_answers_is_left_to_it(body: str) -> None:
    assert understand(body) == Understood("stop", keyword=True)


@pytest.mark.parametrize(
    ("body", "wish", "language"),
    [
        ("Start", "start", "en"),
        ("alta", "start", "es"),
        ("Reprendre", "start", "fr"),
        ("anmelden", "start", "de"),
        ("info", "help", "en"),
        ("Ayuda", "help", "es"),
        ("aide", "help", "fr"),
        ("Hilfe!", "help", "de"),
    ],
)
def test_start_and_help_in_four_languages(body: str, wish: str, language: str) -> None:
    understood = understand(body)
    assert understood is not None
    assert (understood.wish, understood.language) == (wish, language)


@pytest.mark.parametrize("body", NOTHING)
def test_what_only_looks_like_it_is_left_alone(body: str) -> None:
    assert understand(body) is None


@given(st.text(max_size=1600))
def test_whatever_people_write_is_read_quickly(body: str) -> None:
    understand(body)


@given(st.sampled_from(["STOP", "ARRET", "PARAR", "STOPP"]), st.text(alphabet=" .!?…\n\t", max_size=20))
def test_signs_and_spaces_around_a_word_dont_matter(word: str, around: str) -> None:
    understood = understand(f"{around}{word}{around}")
    assert understood is not None
    assert understood.wish == "stop"

"""What people answer to an SMS: whether they want no more of them, want them again, or need help.

The law asks that any reasonable wording be understood as "stop"; so in doubt, it is. In English, Spanish, French and
German, whichever of them the person writes; accents don't matter, as telephones leave them out.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

import msgspec

Wish = Literal["stop", "start", "help"]
Language = Literal["en", "es", "fr", "de"]

PROVIDERS: Mapping[Wish, frozenset[str]] = {
    "stop": frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"}),
    "start": frozenset({"START", "UNSTOP", "YES"}),
    "help": frozenset({"HELP", "INFO"}),
}
"""Words, standing alone, that the provider answers by itself."""

OURS: Mapping[Language, Mapping[Wish, str]] = {
    "en": {"stop": "STOP ALL|OPT ME OUT", "start": "OPT IN|OPTIN|SUBSCRIBE", "help": "HELP ME"},
    "es": {
        "stop": "ALTO|PARAR|PARA|PARE|PAREN|BAJA|CANCELAR|DETENER|FIN|BASTA|DARSE DE BAJA",
        "start": "INICIAR|EMPEZAR|COMENZAR|ALTA|REANUDAR",
        "help": "AYUDA",
    },
    "fr": {
        "stop": "ARRET|ARRETT|ARRETE|ARRETEZ|ARRETER|DESABONNER|DESABONNEMENT|DESINSCRIRE|ANNULER|ASSEZ",
        "start": "DEBUT|COMMENCER|REPRENDRE|REABONNER",
        "help": "AIDE",
    },
    "de": {
        "stop": "STOPP|STOPPEN|ABMELDEN|ABBESTELLEN|AUFHOREN|AUFHOEREN|ENDE|ABBRECHEN|KUNDIGEN|KUENDIGEN",
        "start": "ANMELDEN|STARTEN|WEITER",
        "help": "HILFE",
    },
}
"""Words, standing alone, that the provider leaves to us."""

TEXTS = r"(TEXTS?|TEXTOS?|TEXTE|SMS|MESSAGES?|MENSAJES?|NACHRICHT(EN)?|ALERTS?|ALERTAS?|ALERTES?)"

WORDING: Mapping[Language, tuple[str, ...]] = {
    "en": (
        r"(UNSUBSCRIBE|OPT(ING|ED)? ?(ME )?OUT|STOPALL|REVOKE)",
        r"(PLEASE|PLS) (STOP|CANCEL|END|QUIT)",
        rf"STOP (ALL|IT|NOW|PLEASE|PLS|THIS|THESE|(THE )?{TEXTS}|TEXTING|MESSAGING|SENDING|CONTACTING)",
        r"(DO NOT|DONT|NEVER|QUIT) (TEXT|TEXTING|MESSAGE|MESSAGING|SEND|SENDING|CONTACT|CONTACTING|SMS)",
        rf"NO MORE {TEXTS}",
        r"(REMOVE|TAKE) ME",
        r"LEAVE ME ALONE",
    ),
    "es": (
        r"NO (ME|NOS) (ENVIE|MANDE|ESCRIBA|CONTACTE|MOLESTE)[NS]?( MAS)?",
        rf"NO (ENVIE|MANDE)[NS]? MAS {TEXTS}",
        rf"NO (QUIERO|DESEO) (RECIBIR )?(MAS |SUS |ESTOS )?({TEXTS}|RECIBIR)",
        r"(DEJA|DEJE|DEJEN|DEJAD) DE (ENVIAR|MANDAR|ESCRIBIR|MOLESTAR|CONTACTAR)(ME|NOS)?",
        r"(DAR(ME|SE)|DE(N)?ME) DE BAJA",
        r"(QUIERO|SOLICITO) (LA |DARME DE )?BAJA",
        rf"(NO|BASTA DE) (MAS )?{TEXTS}",
    ),
    "fr": (
        rf"(ARRETE|ARRETEZ|ARRETER|CESSEZ|STOPPEZ|STOP) (DE |LES |CES |VOS |TOUS LES )?({TEXTS}|ENVOIS?|SVP)",
        r"(ARRETE|ARRETEZ|CESSEZ) DE (M ?|ME |NOUS )?(ENVOYER|ECRIRE|CONTACTER|DERANGER|HARCELER)",
        r"NE (M ?|ME |NOUS )(ENVOYEZ|ENVOIE|ECRIVEZ|ECRIS|CONTACTEZ|CONTACTE|DERANGEZ) (PLUS|PAS)",
        rf"(PLUS|ASSEZ) (DE|AUCUN) {TEXTS}",
        r"JE (NE |N ?)?(VEUX|SOUHAITE|DESIRE) PLUS (RECEVOIR|DE|ETRE|AUCUN)",
        r"(DESABONNEZ|DESINSCRIVEZ|RETIREZ|SUPPRIMEZ) MOI",
        r"(ME|SE) (DESABONNER|DESINSCRIRE)",
        r"LAISSEZ MOI TRANQUILLE",
    ),
    "de": (
        rf"KEINE? (WEITEREN? )?{TEXTS} (MEHR|BITTE|SCHICKEN|SENDEN)",
        rf"BITTE KEINE? (WEITEREN? )?{TEXTS}",
        r"(BITTE|SOFORT) (STOPP|STOPPEN|STOP|AUFHOREN|AUFHOEREN|ABMELDEN|ABBESTELLEN|BEENDEN)",
        r"(HOR|HOER|HORT|HOREN|HOEREN|HORE)( SIE| BITTE| ENDLICH)* AUF",
        r"(SCHREIB|SCHICK|SEND)(E|T|EN)?( SIE)? (MIR|UNS) (BITTE )?(NICHTS?|NIE|KEINE?)",
        rf"{TEXTS} (ABBESTELLEN|ABMELDEN|STOPPEN|BEENDEN)",
        r"MICH (BITTE )?(ABMELDEN|AUSTRAGEN|LOSCHEN|LOESCHEN)",
        r"(MELDEN|TRAGEN) SIE MICH (BITTE )?(AB|AUS)",
        r"LASS(T|EN SIE)? MICH IN RUHE",
    ),
}
"""Ways to say so in a sentence."""

SAYS: Mapping[Language, re.Pattern[str]] = {
    language: re.compile("|".join(rf"\b{wording}\b" for wording in wordings)) for language, wordings in WORDING.items()
}


class Understood(msgspec.Struct, frozen=True):
    """A wish, and the language it was put in. `keyword`: in one of the words that providers answer by themselves."""

    wish: Wish
    keyword: bool
    language: Language = "en"


def understand(body: str) -> Understood | None:
    """Return what an answer asks for; None for anything else."""
    words = plain(body)
    for wish, theirs in PROVIDERS.items():
        if words in theirs:
            return Understood(wish, keyword=True)
    for language, wishes in OURS.items():
        for wish, ours in wishes.items():
            if words in ours.split("|"):
                return Understood(wish, keyword=False, language=language)
    for language, says in SAYS.items():
        if says.search(words):
            return Understood("stop", keyword=False, language=language)
    return None


def plain(body: str) -> str:
    """Return the words alone: in capitals, without accents, signs and apostrophes, a space between them."""
    unaccented = "".join(c for c in unicodedata.normalize("NFKD", body.upper()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w\s]", "", re.sub(r"[-_/,.;:]", " ", unaccented)).split())

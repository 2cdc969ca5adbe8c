"""What makes a person's particulars acceptable, and the values that identity makes up itself."""

import hashlib
import re
import secrets

import phonenumbers

from kernel.time_zones import is_time_zone

RESERVED_IDS = frozenset({"me", "batch", "login"})
"""Words that stand where a user id could stand in `/api/users/…`."""

PSEUDONYM = "deactivated-"
PSEUDONYM_DISPLAY_NAME = "Deactivated user"

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PIN_LENGTH = 10
READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


def user_id_problem(user_id: str) -> str | None:
    """Say what is wrong with a user id of the right alphabet."""
    return f"{user_id!r} is reserved" if user_id in RESERVED_IDS else None


def username_problem(username: str) -> str | None:
    """Say what is wrong with a username of the right alphabet: nobody may pass for somebody deactivated."""
    return f"must not begin with {PSEUDONYM!r}" if username.lower().startswith(PSEUDONYM) else None


def phone_problem(phone: str) -> str | None:
    """Say what is wrong with a number of E.164's shape.

    The number must be possible, not known to be assigned: numbering plans grow faster than libraries.
    """
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return "is not a telephone number"
    if not phonenumbers.is_possible_number(number):
        return "is not a possible telephone number"
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None if written == phone else "is not in E.164 form (no trunk prefix after the country code)"


def time_zone_problem(name: str) -> str | None:
    """Say what is wrong with the name of a time zone."""
    return None if is_time_zone(name) else "is not an IANA time zone"


def new_pseudonym() -> str:
    """Make up the username of somebody deactivated. It tells nothing and need not be unique."""
    return PSEUDONYM + secrets.token_hex(4)


def new_pin() -> str:
    """Make up a connect pin: 50 random bits, as `XXXXX-XXXXX` in Crockford's base 32."""
    letters = "".join(secrets.choice(CROCKFORD) for _ in range(PIN_LENGTH))
    return f"{letters[:5]}-{letters[5:]}"


def pin_hash(pin: str) -> bytes:
    """Return the key that a pin is looked up by: its timing tells nothing about pins that exist.

    Pins are read as people copy them: in either case, O for 0, I or L for 1, hyphens and spaces or none.
    """
    return hashlib.sha256(pin.upper().translate(READ_AS).encode()).digest()


API_KEY = re.compile(r"\Apk_[A-Za-z0-9_-]{43}\Z")
API_KEY_PREFIX_LENGTH = 9
SCOPES = frozenset({"*", "users", "tokens", "contexts", "contacts", "notices", "invites", "webhooks"})


def new_api_key() -> str:
    """Make up an API key: 256 random bits."""
    return f"pk_{secrets.token_urlsafe(32)}"


def api_key_hash(key: str) -> bytes:
    """Return what is stored of an API key. A plain hash will do: nobody guesses 256 random bits."""
    return hashlib.sha256(key.encode()).digest()

"""Settings: one frozen Struct, built once from the environment, checked as a whole, passed down.

Nothing else reads the environment. Field `x_y` is the variable `PARLEY_X_Y`, except those in `UNPREFIXED`,
whose names are conventions of their own.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kernel.egress.policy import Policy
from kernel.smtp_url import smtp_server
from kernel.time_zones import is_time_zone

LARGEST = 1e9
"""Some thirty years in seconds: nothing here is longer or more, and infinity breaks timers."""

Secret = Annotated[str, Meta(extra={"secret": True})]
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
Count = Annotated[int, Meta(ge=1)]
Cap = Annotated[int, Meta(ge=0)]
Delay = Annotated[float, Meta(ge=0, le=LARGEST)]

UNPREFIXED = ("database_url", "redis_url", "twilio_")
MIN_SECRET_BYTES = 32
FRAME_BURST_S = 4
"""So many seconds' frames a socket may send at once."""
QUIET_HOURS = re.compile(r"\A([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z")
CONTACT = re.compile(r"\A(mailto:[^@\s<>]+@[\w-]+(\.[\w-]+)+|https://[\w-]+(\.[\w-]+)+(/\S*)?)\Z", re.ASCII)
"""Who runs this, for push services: some refuse all pushes that name nobody who could be reached."""
ORIGIN = re.compile(r"\A(\*|https?://[^/*?#@\s]+)\Z")


class SettingsError(Exception):
    """The environment doesn't make a working configuration; `problems` lists everything wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be configured. Durations are in seconds."""

    env: Literal["development", "production"] = "development"
    database_url: Secret | None = None
    database_pool_size: Count = 10
    data_dir: Path = Path(".parley")
    redis_url: Secret | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    jwt_secret: Secret | None = None
    jwks_url: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    dev_login: bool = False

    public_url: str = "http://127.0.0.1:8000"
    allowed_origins: tuple[str, ...] = ()
    ws_query_token: bool = False

    max_participants: Count = 1000
    require_contact: bool = True
    messages_per_s: Positive = 5
    message_burst: Count = 20
    max_message_chars: Count = 5000
    max_frame_bytes: Count = 16 * 1024
    max_frames_per_s: Positive = 50
    max_requests_per_s: Positive = 50
    max_sockets_per_user: Count = 10
    max_sockets: Count = 20_000
    max_joining: Count = 2_500
    max_socket_queue_bytes: Count = 256 * 1024
    ws_auth_timeout_s: Positive = 5
    ws_heartbeat_s: Positive = 30
    away_after_s: Positive = 300

    reinvite_cooldown_s: Delay | None = None
    invite_ttl_s: Positive = 14 * 24 * 3600
    invite_reminder_before_s: Delay = 2 * 24 * 3600
    invites_per_sender_per_day: Cap = 200
    invites_per_recipient_per_day: Cap = 50
    invites_per_day: Cap = 100_000
    invite_misses_per_account_per_hour: Count = 20
    invite_misses_per_address_per_hour: Count = 100
    push_delay_s: Delay = 20
    sms_delay_s: Delay = 120
    email_delay_s: Delay = 1800
    default_quiet_hours: str = "21:00-09:00"
    default_time_zone: str | None = None
    sms_per_s: Delay = 1.0
    sms_max_per_recipient_per_day: Cap = 30
    sms_max_per_day: Cap = 10_000
    deliveries_kept_days: Positive = 400
    default_locale: str = "en"
    texts_dir: Path | None = None

    twilio_account_sid: str | None = None
    twilio_auth_token: Secret | None = None
    twilio_from: str | None = None
    twilio_messaging_service_sid: str | None = None
    twilio_api_url: str | None = None

    vapid_private_key: Secret | None = None
    vapid_subject: str | None = None
    push_allowed_hosts: tuple[str, ...] = ()
    webhook_allowed_origins: tuple[str, ...] = ()
    smtp_url: Secret | None = None
    evidence_key: Secret | None = None

    @property
    def production(self) -> bool:
        """Whether insecure defaults are refused."""
        return self.env == "production"

    @property
    def twilio(self) -> bool:
        """Whether SMS can be sent."""
        return self.twilio_account_sid is not None


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return field.upper() if field.startswith(UNPREFIXED) else f"PARLEY_{field.upper()}"


def load(environ: Mapping[str, str]) -> Settings:
    """Build the settings from `environ`. An empty variable counts as unset.

    Raises:
        SettingsError: with every problem at once.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = environ.get(variable(field.name), "").strip()
        if not text:
            continue
        try:
            values[field.name] = msgspec.convert(_split(text, field.type), field.type, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            problems.append(f"{variable(field.name)}: {error}")
    settings = Settings(**values)
    problems += _contradictions(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Return the PARLEY_ variables that no setting reads: probably misspelt, so worth a warning."""
    known = {variable(name) for name in Settings.__struct_fields__}
    return sorted(name for name in environ if name.startswith("PARLEY_") and name not in known)


def _path(_kind: type, text: str) -> Path:
    """Make the one kind of value that msgspec doesn't know."""
    return Path(text)


def _split(text: str, kind: object) -> object:
    is_list = getattr(kind, "__origin__", None) is tuple
    return [part.strip() for part in text.split(",") if part.strip()] if is_list else text


def _contradictions(s: Settings) -> list[str]:
    problems = []
    if s.jwt_secret is not None and len(s.jwt_secret.encode()) < MIN_SECRET_BYTES:
        problems.append(f"PARLEY_JWT_SECRET: at least {MIN_SECRET_BYTES} bytes are needed (RFC 7518, 3.2)")
    frames = max(s.messages_per_s, s.message_burst / FRAME_BURST_S)
    if s.max_frames_per_s < frames:
        problems.append(
            f"PARLEY_MAX_FRAMES_PER_S: at least {frames:g}, or sockets are closed before their messages count"
        )
    if not QUIET_HOURS.match(s.default_quiet_hours):
        problems.append("PARLEY_DEFAULT_QUIET_HOURS: expected HH:MM-HH:MM")
    if s.default_time_zone is not None and not is_time_zone(s.default_time_zone):
        problems.append("PARLEY_DEFAULT_TIME_ZONE: expected an IANA time zone, such as Europe/Berlin")
    problems += [*_address_problems(s), *_twilio_problems(s), *_push_problems(s), *_smtp_problems(s)]
    return problems + (_insecure(s) if s.production else [])


def _address_problems(s: Settings) -> list[str]:
    problems = []
    if s.database_url and not re.match(r"\Apostgres(ql)?(\+asyncpg)?://", s.database_url):
        problems.append("DATABASE_URL: expected postgresql://…")
    if s.redis_url and not re.match(r"\A(rediss?|unix)://", s.redis_url):
        problems.append("REDIS_URL: expected redis://… or rediss://…")
    if not all(ORIGIN.match(origin) for origin in s.allowed_origins):
        problems.append("PARLEY_ALLOWED_ORIGINS: expected origins such as https://shop.example, without a path")
    if not all(ORIGIN.match(origin) and origin != "*" for origin in s.webhook_allowed_origins):
        problems.append("PARLEY_WEBHOOK_ALLOWED_ORIGINS: expected origins such as https://hooks.internal:8443")
    if not re.match(r"\Ahttps?://[^/]+", s.public_url):
        problems.append("PARLEY_PUBLIC_URL: expected http(s)://host")
    if s.jwks_url and not re.match(r"\Ahttps?://[^/]+", s.jwks_url):
        problems.append("PARLEY_JWKS_URL: expected http(s)://host/…")
    return problems


def _twilio_problems(s: Settings) -> list[str]:
    given = {
        "TWILIO_ACCOUNT_SID": s.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": s.twilio_auth_token,
        "TWILIO_FROM or TWILIO_MESSAGING_SERVICE_SID": s.twilio_from or s.twilio_messaging_service_sid,
    }
    if not any(given.values()):
        return []
    return [f"{name}: needed, because other Twilio settings are given" for name, value in given.items() if not value]


def _push_problems(s: Settings) -> list[str]:
    problems = []
    if s.vapid_private_key and not s.vapid_subject:
        problems.append("PARLEY_VAPID_SUBJECT: needed with a key, so that push services can reach you")
    if s.vapid_subject and not CONTACT.match(s.vapid_subject):
        problems.append("PARLEY_VAPID_SUBJECT: expected mailto:somebody@example.com or https://example.com/…")
    try:
        Policy(s.push_allowed_hosts)
    except ValueError as error:
        problems.append(f"PARLEY_PUSH_ALLOWED_HOSTS: {error}")
    return problems


def _smtp_problems(s: Settings) -> list[str]:
    try:
        if s.smtp_url is not None:
            smtp_server(s.smtp_url)
    except ValueError as error:
        return [f"PARLEY_SMTP_URL: {error}"]
    return []


def _insecure(s: Settings) -> list[str]:
    problems = []
    if not s.jwt_secret and not s.jwks_url:
        problems.append("PARLEY_JWT_SECRET or PARLEY_JWKS_URL: needed in production")
    if not s.database_url:
        problems.append("DATABASE_URL: needed in production (the embedded database is for development)")
    if s.dev_login:
        problems.append("PARLEY_DEV_LOGIN: lets anybody in; refused in production")
    if not s.public_url.startswith("https://"):
        problems.append("PARLEY_PUBLIC_URL: https is needed in production")
    if any(entry.lower().startswith("http://") for entry in s.push_allowed_hosts):
        problems.append("PARLEY_PUSH_ALLOWED_HOSTS: https is needed in production")
    if "*" in s.allowed_origins:
        problems.append("PARLEY_ALLOWED_ORIGINS: '*' is refused in production")
    if any(origin.startswith("http:") for origin in s.webhook_allowed_origins):
        problems.append("PARLEY_WEBHOOK_ALLOWED_ORIGINS: https is needed in production")
    return problems


def effective(settings: Settings) -> dict[str, str]:
    """Return every setting under its variable's name, as text, secrets masked."""
    return {variable(f.name): _shown(f, getattr(settings, f.name)) for f in msgspec.structs.fields(Settings)}


def _shown(field: msgspec.structs.FieldInfo, value: object) -> str:
    if value is None:
        return ""
    if _is_secret(field.type):
        return "********"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_secret(kind: object) -> bool:
    parts = (kind, *getattr(kind, "__args__", ()))
    return any((meta.extra or {}).get("secret") for part in parts for meta in getattr(part, "__metadata__", ()))

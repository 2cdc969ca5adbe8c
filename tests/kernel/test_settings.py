"""Settings: read once, checked as a whole, shown without secrets; and the secret that development makes up."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.auth.secret import FILE_NAME, signing_secret
from kernel.settings import MIN_SECRET_BYTES, Settings, SettingsError, effective, load, unknown, variable

SECRET = "s" * MIN_SECRET_BYTES
PRODUCTION = {
    "PARLEY_ENV": "production",
    "PARLEY_JWT_SECRET": SECRET,
    "DATABASE_URL": "postgresql://parley:hush@db/parley",
    "PARLEY_PUBLIC_URL": "https://chat.example.org",
}
TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "hush-hush",
    "TWILIO_MESSAGING_SERVICE_SID": "MG1",
}
DOCUMENTED = {
    *("PARLEY_ENV", "DATABASE_URL", "PARLEY_DATA_DIR", "REDIS_URL", "PARLEY_JWT_SECRET", "PARLEY_JWKS_URL"),
    *("PARLEY_JWT_AUDIENCE", "PARLEY_JWT_ISSUER", "PARLEY_PUBLIC_URL", "PARLEY_ALLOWED_ORIGINS", "PARLEY_DEV_LOGIN"),
    *("PARLEY_WS_QUERY_TOKEN", "PARLEY_REQUIRE_CONTACT", "PARLEY_MESSAGES_PER_S", "PARLEY_MESSAGE_BURST"),
    *("PARLEY_REINVITE_COOLDOWN_S", "PARLEY_INVITE_TTL_S", "PARLEY_PUSH_DELAY_S", "PARLEY_SMS_DELAY_S"),
    *("PARLEY_AWAY_AFTER_S", "PARLEY_DEFAULT_QUIET_HOURS", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"),
    *("TWILIO_MESSAGING_SERVICE_SID", "TWILIO_API_URL", "PARLEY_VAPID_PRIVATE_KEY", "PARLEY_VAPID_SUBJECT"),
    *("PARLEY_PUSH_ALLOWED_HOSTS", "PARLEY_SMTP_URL", "PARLEY_EVIDENCE_KEY", "PARLEY_MAX_PARTICIPANTS"),
}


def problems(**changes: str) -> list[str]:
    """Return what is wrong with a good production environment that was changed."""
    with pytest.raises(SettingsError) as caught:
        load(PRODUCTION | changes)
    return caught.value.problems


def test_nothing_is_needed_for_development() -> None:
    assert load({}) == Settings()
    assert not Settings().production
    assert not Settings().twilio


def test_every_documented_variable_is_read() -> None:
    assert {variable(name) for name in Settings.__struct_fields__} >= DOCUMENTED


def test_values_are_read_as_what_they_are() -> None:
    settings = load(
        PRODUCTION
        | TWILIO
        | {
            "PARLEY_ALLOWED_ORIGINS": "https://a.example , https://b.example,",
            "PARLEY_WS_QUERY_TOKEN": "true",
            "PARLEY_REQUIRE_CONTACT": "0",
            "PARLEY_MESSAGES_PER_S": "2.5",
            "PARLEY_MESSAGE_BURST": " 7 ",
            "PARLEY_DATA_DIR": "/var/lib/parley",
            "PARLEY_REINVITE_COOLDOWN_S": "",
        }
    )
    assert settings.production
    assert settings.twilio
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert (settings.ws_query_token, settings.require_contact) == (True, False)
    assert (settings.messages_per_s, settings.message_burst) == (2.5, 7)
    assert settings.data_dir == Path("/var/lib/parley")
    assert settings.reinvite_cooldown_s is None


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = problems(
        PARLEY_JWT_SECRET="short",
        DATABASE_URL="mysql://x",
        REDIS_URL="http://x",
        PARLEY_PUBLIC_URL="http://chat.example.org",
        PARLEY_JWKS_URL="file:///etc/passwd",
        PARLEY_DEV_LOGIN="true",
        PARLEY_ALLOWED_ORIGINS="*",
        PARLEY_DEFAULT_QUIET_HOURS="25:00-09:00",
        PARLEY_MESSAGE_BURST="0",
        PARLEY_AWAY_AFTER_S="soon",
        TWILIO_FROM="+15005550006",
    )
    named = {problem.partition(":")[0] for problem in found}
    assert named == {
        *("PARLEY_JWT_SECRET", "DATABASE_URL", "REDIS_URL", "PARLEY_PUBLIC_URL", "PARLEY_JWKS_URL"),
        *("PARLEY_DEV_LOGIN", "PARLEY_ALLOWED_ORIGINS", "PARLEY_DEFAULT_QUIET_HOURS", "PARLEY_MESSAGE_BURST"),
        *("PARLEY_AWAY_AFTER_S", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
    }


@pytest.mark.parametrize("name", ["PARLEY_JWT_SECRET", "DATABASE_URL", "PARLEY_PUBLIC_URL"])
def test_production_needs_what_development_makes_up(name: str) -> None:
    load(PRODUCTION)
    assert len(problems(**{name: ""})) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARLEY_ENV", "staging"),
        ("PARLEY_AWAY_AFTER_S", "0"),
        ("PARLEY_AWAY_AFTER_S", "-1"),
        ("PARLEY_AWAY_AFTER_S", "nan"),
        ("PARLEY_AWAY_AFTER_S", "inf"),
        ("PARLEY_SMS_DELAY_S", "nan"),
        ("PARLEY_SMS_DELAY_S", "-1"),
        ("PARLEY_MESSAGE_BURST", "1.5"),
        ("PARLEY_MESSAGE_BURST", "many"),
        ("PARLEY_DEV_LOGIN", "maybe"),
        ("PARLEY_LOG_LEVEL", "loud"),
        ("PARLEY_DEFAULT_QUIET_HOURS", "21:00"),
        ("PARLEY_DEFAULT_QUIET_HOURS", "21:00-09:60"),
        ("PARLEY_PUBLIC_URL", "chat.example.org"),
        ("PARLEY_JWKS_URL", "https://"),
    ],
)
def test_a_senseless_value_is_named(name: str, value: str) -> None:
    assert [problem.partition(":")[0] for problem in problems(**{name: value})][:1] == [name]


@pytest.mark.parametrize("more", [{"PARLEY_MESSAGES_PER_S": "51"}, {"PARLEY_MESSAGE_BURST": "201"}])
def test_whoever_keeps_to_the_pace_of_messages_must_not_be_cut_off_for_frames(more: dict[str, str]) -> None:
    assert [problem.partition(":")[0] for problem in problems(**more)] == ["PARLEY_MAX_FRAMES_PER_S"]
    assert load({**more, "PARLEY_MAX_FRAMES_PER_S": "60"}).max_frames_per_s == 60


def test_misspelt_variables_are_noticed() -> None:
    assert unknown({"PARLEY_JWT_SECRT": "x", "PARLEY_ENV": "production", "PATH": "/bin"}) == ["PARLEY_JWT_SECRT"]


SECRETS = [name for name in Settings.__struct_fields__ if name.endswith(("secret", "token", "key"))]
SECRETS = [name for name in SECRETS if name != "ws_query_token"] + ["database_url", "redis_url", "smtp_url"]


def test_secrets_are_never_shown() -> None:
    settings = msgspec.structs.replace(load(PRODUCTION | TWILIO), **dict.fromkeys(SECRETS, "hush-hush"))
    shown = effective(settings)
    assert len(SECRETS) == 7
    assert "hush-hush" not in str(shown)
    assert {shown[variable(name)] for name in SECRETS} == {"********"}
    assert shown["PARLEY_PUBLIC_URL"] == "https://chat.example.org"
    assert shown["REDIS_URL"] != ""
    assert shown["PARLEY_VAPID_SUBJECT"] == ""


@given(st.dictionaries(st.sampled_from([variable(name) for name in Settings.__struct_fields__]), st.text(max_size=20)))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    try:
        settings = load(environ)
    except SettingsError:
        return
    assert effective(settings).keys() >= environ.keys()


# The secret that development makes up


def development(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir)


def test_a_secret_is_made_once_for_its_owners_eyes(tmp_path: Path) -> None:
    secret = signing_secret(development(tmp_path / "new" / "folder"))
    assert secret is not None
    assert len(secret) >= MIN_SECRET_BYTES
    assert signing_secret(development(tmp_path / "new" / "folder")) == secret
    assert signing_secret(development(tmp_path)) != secret
    folder = tmp_path / "new" / "folder"
    assert [file.name for file in folder.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


def test_what_is_configured_counts_and_makes_no_file(tmp_path: Path) -> None:
    assert signing_secret(Settings(data_dir=tmp_path, jwt_secret=SECRET)) == SECRET
    assert signing_secret(Settings(data_dir=tmp_path, jwks_url="https://host/keys")) is None
    assert signing_secret(Settings(data_dir=tmp_path, jwks_url="https://host/keys", jwt_secret=SECRET)) == SECRET
    with pytest.raises(SettingsError):
        signing_secret(Settings(data_dir=tmp_path, env="production"))
    assert list(tmp_path.iterdir()) == []


def test_a_spoilt_file_is_not_trusted(tmp_path: Path) -> None:
    for spoilt in ("", "short"):
        (tmp_path / FILE_NAME).write_text(spoilt)
        with pytest.raises(SettingsError):
            signing_secret(development(tmp_path))


async def test_processes_that_race_get_the_same_secret(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from kernel.auth.secret import signing_secret; from kernel.settings import Settings\n"
        "settings = Settings(data_dir=pathlib.Path(sys.argv[1]))\n"
        "print('ready', flush=True); input(); print(signing_secret(settings))"
    )
    pipe = asyncio.subprocess.PIPE
    racers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(tmp_path / "data")), stdin=pipe, stdout=pipe, env=dict(os.environ)
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert await racer.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    secrets = {output.decode().strip() for output, _ in outputs}
    assert len(secrets) == 1
    assert len(secrets.pop()) >= MIN_SECRET_BYTES
    assert [file.name for file in (tmp_path / "data").iterdir()] == [FILE_NAME]

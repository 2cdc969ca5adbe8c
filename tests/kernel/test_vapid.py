"""The key for web push: every form in which people have one, and a clear word about everything else."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02

from kernel import vapid
from kernel.settings import Settings, SettingsError, load
from tests.kernel.test_settings import PRODUCTION
from tests.support.servers import PARLEY, environment

KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
"""Always the same, since tests are named by its forms."""
SUBJECT = {"PARLEY_VAPID_SUBJECT": "mailto:ops@example.com"}


def serialized(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
    encoding: Encoding,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(encoding, form, encryption or NoEncryption())


PEM = serialized(KEY, Encoding.PEM).decode()
DER = serialized(KEY, Encoding.DER)


@pytest.mark.parametrize(
    "text",
    [
        vapid.written(KEY),
        vapid.written(KEY) + "=",
        f"  {vapid.written(KEY)}\n",
        PEM,
        PEM.replace("\n", "\\n"),
        serialized(KEY, Encoding.PEM, PrivateFormat.TraditionalOpenSSL).decode(),
        base64.urlsafe_b64encode(DER).decode(),
        base64.urlsafe_b64encode(DER).decode().rstrip("="),
        base64.b64encode(DER).decode(),
        base64.encodebytes(DER).decode(),
    ],
)
def test_a_key_is_read_in_every_form(text: str) -> None:
    assert vapid.public(vapid.parse(text)) == vapid.public(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "hush",
        "é" * 43,
        base64.urlsafe_b64encode(bytes(32)).decode(),
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        base64.urlsafe_b64encode(b"\x01" * 31).decode(),
        base64.urlsafe_b64encode(b"\x01" * 64).decode(),
        vapid.public(KEY),
        PEM.replace("PRIVATE", "PUBLIC"),
        PEM[: len(PEM) // 2],
        serialized(ec.generate_private_key(ec.SECP384R1()), Encoding.PEM).decode(),
        serialized(ed25519.Ed25519PrivateKey.generate(), Encoding.PEM).decode(),
        serialized(rsa.generate_private_key(65537, 2048), Encoding.PEM).decode(),
        serialized(KEY, Encoding.PEM, encryption=BestAvailableEncryption(b"x")).decode(),
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="P-256") as caught:
        vapid.parse(text)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    with pytest.raises(SettingsError) as refused:
        vapid.signing_key(Settings(vapid_private_key=text))
    assert refused.value.problems == [f"PARLEY_VAPID_PRIVATE_KEY: {vapid.EXPECTED}"]


@given(st.text())
def test_whatever_is_set_is_a_key_or_refused(text: str) -> None:
    try:
        vapid.parse(text)
    except ValueError as error:
        assert str(error) == vapid.EXPECTED  # noqa: PT017 - one of the two ways


def test_it_is_what_other_tools_take_it_for() -> None:
    theirs = Vapid02.from_string(vapid.written(KEY))
    assert vapid.public(theirs.private_key) == vapid.public(KEY)
    assert len(base64.urlsafe_b64decode(vapid.public(KEY) + "=")) == 65


def test_development_makes_one_up_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    made = vapid.signing_key(settings)
    again = vapid.signing_key(settings)
    assert made
    assert again
    assert vapid.public(made) == vapid.public(again)
    file = tmp_path / vapid.FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("spoilt")
    with pytest.raises(SettingsError, match=str(file)):
        vapid.signing_key(settings)


def test_what_is_set_counts_and_makes_no_file(tmp_path: Path) -> None:
    set_ = vapid.signing_key(Settings(data_dir=tmp_path, vapid_private_key=vapid.written(KEY)))
    assert set_
    assert vapid.public(set_) == vapid.public(KEY)
    assert vapid.signing_key(Settings(data_dir=tmp_path, env="production")) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "subject",
    ["mailto:ops@example.com", "mailto:a.b+c@mail.example.co.uk", "https://example.com", "https://example.com/contact"],
)
def test_a_subject_by_which_somebody_can_be_reached_is_taken(subject: str) -> None:
    environ = {"PARLEY_VAPID_PRIVATE_KEY": vapid.written(KEY), "PARLEY_VAPID_SUBJECT": subject}
    assert load(environ).vapid_subject == subject


@pytest.mark.parametrize(
    "environ",
    [
        {"PARLEY_VAPID_PRIVATE_KEY": vapid.written(KEY)},
        {"PARLEY_VAPID_SUBJECT": "ops@example.com"},
        {"PARLEY_VAPID_SUBJECT": "mailto:ops"},
        {"PARLEY_VAPID_SUBJECT": "mailto:ops@localhost"},
        {"PARLEY_VAPID_SUBJECT": "mailto: <ops@example.com>"},
        {"PARLEY_VAPID_SUBJECT": "http://example.com"},
        {"PARLEY_VAPID_SUBJECT": "https://localhost"},
    ],
)
def test_any_other_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="PARLEY_VAPID_SUBJECT") as caught:
        load(environ)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("hosts", ["*", "localhost", "10.0.0.1", "https://push.example/path", "push.example:8443"])
def test_hosts_that_could_never_count_are_refused(hosts: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_PUSH_ALLOWED_HOSTS"):
        load({"PARLEY_PUSH_ALLOWED_HOSTS": f"push.example,{hosts}"})
    fit = load({"PARLEY_PUSH_ALLOWED_HOSTS": "push.example, *.push.example, http://127.0.0.1:8123"})
    assert len(fit.push_allowed_hosts) == 3


def test_production_pushes_over_https_only() -> None:
    assert load(PRODUCTION | {"PARLEY_PUSH_ALLOWED_HOSTS": "https://10.0.0.5:8443"}).production
    with pytest.raises(SettingsError, match="PARLEY_PUSH_ALLOWED_HOSTS: https"):
        load(PRODUCTION | {"PARLEY_PUSH_ALLOWED_HOSTS": "HTTP://10.0.0.5:8080"})


def test_the_command_makes_a_pair_that_check_config_takes(tmp_path: Path) -> None:
    def parley(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        env = environment("", tmp_path, **settings)
        return subprocess.run([PARLEY, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)

    printed = parley("keys", "vapid").stdout
    made = dict(line.split("=", 1) for line in printed.splitlines() if not line.startswith("#"))
    assert set(made) == {"PARLEY_VAPID_PRIVATE_KEY", "PARLEY_VAPID_SUBJECT"}
    assert vapid.public(vapid.parse(made["PARLEY_VAPID_PRIVATE_KEY"])) in printed
    checked = parley("check-config", **made)
    assert checked.returncode == 0, checked.stderr
    assert made["PARLEY_VAPID_PRIVATE_KEY"] not in checked.stdout
    refused = parley("check-config", **(made | {"PARLEY_VAPID_PRIVATE_KEY": "nonsense"}))
    assert (refused.returncode, "PARLEY_VAPID_PRIVATE_KEY: expected" in refused.stderr) == (2, True)

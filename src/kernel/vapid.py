"""The key that push services know us by (RFC 8292). Browsers subscribe to its public half, for good."""

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from kernel.kept import kept
from kernel.settings import Settings, SettingsError

FILE_NAME = "vapid-private-key"
RAW_BYTES = 32
EXPECTED = "expected a private key on P-256: PEM, or base64url of its 32 bytes or of DER; `parley keys vapid` makes one"


def signing_key(settings: Settings) -> EllipticCurvePrivateKey | None:
    """Return the key for web push, or None where push is not set up.

    Without `PARLEY_VAPID_PRIVATE_KEY`, development reads it from `<data_dir>/vapid-private-key`, which is made on
    first need, readable by its owner only.

    Raises:
        SettingsError: what is set, or in the file, is no such key.
    """
    if settings.vapid_private_key is not None:
        return _read(settings.vapid_private_key, "PARLEY_VAPID_PRIVATE_KEY")
    if settings.production:
        return None
    path = settings.data_dir / FILE_NAME
    return _read(kept(path, lambda: written(new())), str(path))


def new() -> EllipticCurvePrivateKey:
    """Make one."""
    return generate_private_key(SECP256R1())


def parse(text: str) -> EllipticCurvePrivateKey:
    r"""Read a private key on P-256, unencrypted. A PEM may have `\n` for its line ends, as environments often have.

    Raises:
        ValueError: it is none; the text isn't repeated.
    """
    try:
        key = _loaded(text.strip())
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError(EXPECTED) from None
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError(EXPECTED)


def written(key: EllipticCurvePrivateKey) -> str:
    """Return the private key as base64url of its 32 bytes, as most tools for web push write it."""
    return _base64url(key.private_numbers().private_value.to_bytes(RAW_BYTES, "big"))


def public(key: EllipticCurvePrivateKey) -> str:
    """Return the public key as browsers take it for `applicationServerKey`: base64url of the uncompressed point."""
    return _base64url(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _read(text: str, where: str) -> EllipticCurvePrivateKey:
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError([f"{where}: {error}"]) from None


def _loaded(text: str) -> object:
    if text.startswith("-----BEGIN"):
        return load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
    plain = "".join(text.split()).rstrip("=").replace("+", "-").replace("/", "_").encode("ascii")
    data = base64.b64decode(plain + b"=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    if len(data) == RAW_BYTES:
        return derive_private_key(int.from_bytes(data, "big"), SECP256R1())
    return load_der_private_key(data, password=None)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

"""Signatures are those of the Standard Webhooks specification, checked by its own package."""

import base64
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from kernel.clock import now
from modules.notifications.webhooks import signing
from modules.notifications.webhooks.webhook import living

BODY = '{"type":"chat.message.created","data":{"message_preview":"Zażółć 👋"}}'.encode()


def test_a_known_signature() -> None:
    """The example of the specification's own documents."""
    secret, identifier = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    sent = signing.headers(identifier, datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}', [secret])
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_package_takes_what_is_signed_and_nothing_else() -> None:
    secret = signing.new_secret()
    sent = dict(signing.headers("event_webhook", now(), BODY, [secret]))
    later = {"webhook-timestamp": str(int(sent["webhook-timestamp"]) + 1)}
    assert takes(secret, BODY, sent)
    assert not takes(signing.new_secret(), BODY, sent)
    assert not takes(secret, BODY + b" ", sent)
    assert not takes(secret, BODY, sent | {"webhook-id": "another"})
    assert not takes(secret, BODY, sent | later)


def takes(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    """Whether the package takes a request."""
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_each_living_secret_signs() -> None:
    old, new = signing.new_secret(), signing.new_secret()
    sent = dict(signing.headers("event_webhook", now(), BODY, [new, old]))
    assert len(sent["webhook-signature"].split(" ")) == 2
    Webhook(old).verify(BODY, sent)
    Webhook(new).verify(BODY, sent)


def test_secrets_are_as_specified() -> None:
    made = {signing.new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert secret.startswith("whsec_")
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_ids_hold_no_full_stop_since_that_is_what_separates() -> None:
    identifier = signing.message_id(uuid4(), uuid4())
    assert re.fullmatch(r"[0-9a-f_-]{73}", identifier)


def test_the_old_secret_lives_for_its_grace() -> None:
    moment = now()
    assert living("new", "old", moment + timedelta(seconds=1), moment) == ("new", "old")
    assert living("new", "old", moment, moment) == ("new",)
    assert living("new", None, None, moment) == ("new",)

"""What is wrong with a wish by itself, before anybody is looked up."""

from collections.abc import Iterator, Mapping

import msgspec

from kernel.errors import FieldError, MalformedError, ParleyError
from kernel.text import holds_nul
from modules.contacts.domain.templates import needs_channel
from modules.contacts.errors import TemplateNotFoundError
from modules.contacts.schemas.inviting import METADATA_BYTES, PostInvite


def refusal(entry: PostInvite, texts: Mapping[str, str]) -> ParleyError | None:
    """Return what is wrong with an entry; `texts`: of the templates that there are, by name."""
    errors = [*_target(entry), *_channel(entry), *_metadata(entry), *_text(entry, texts)]
    if errors:
        return MalformedError("The invitation is not acceptable", errors=errors)
    if entry.template is not None and entry.template not in texts:
        return TemplateNotFoundError(errors=[FieldError("/template", "there is no template of this name")])
    return None


def _target(entry: PostInvite) -> Iterator[FieldError]:
    if entry.connect_pin is None and entry.user_id is None:
        yield FieldError("/connect_pin", "one of connect_pin and user_id is needed")
    if entry.connect_pin is not None and entry.user_id is not None:
        yield FieldError("/user_id", "connect_pin and user_id exclude each other")


def _channel(entry: PostInvite) -> Iterator[FieldError]:
    if entry.kind == "channel" and entry.channel_id is None:
        yield FieldError("/channel_id", "is needed for kind channel")
    if entry.kind == "contact" and entry.channel_id is not None:
        yield FieldError("/channel_id", "is for kind channel only")
    if entry.kind == "contact" and entry.channel_role is not None:
        yield FieldError("/channel_role", "is for kind channel only")


def _metadata(entry: PostInvite) -> Iterator[FieldError]:
    if len(msgspec.json.encode(entry.metadata)) > METADATA_BYTES:
        yield FieldError("/metadata", f"at most {METADATA_BYTES} bytes as JSON")
    elif holds_nul(entry.metadata):
        yield FieldError("/metadata", "U+0000 is not accepted")


def _text(entry: PostInvite, texts: Mapping[str, str]) -> Iterator[FieldError]:
    if entry.template is None:
        return
    if entry.message is not None:
        yield FieldError("/template", "message and template exclude each other")
    elif entry.kind == "contact" and needs_channel(texts.get(entry.template, "")):
        yield FieldError("/template", "speaks of a channel, so it is for kind channel only")

"""What input and output are made of."""

from typing import Annotated

from msgspec import Meta

from kernel.text import NO_NUL, pattern
from modules.messaging.domain import CONTEXT_TYPES

CONTEXT_TYPE = pattern(rf"\A({'|'.join(CONTEXT_TYPES)})\Z", f"must be one of {', '.join(CONTEXT_TYPES)}")
ContextTypeName = Annotated[str, Meta(pattern=CONTEXT_TYPE, examples=["booking"])]
Content = Annotated[
    str, Meta(min_length=1, pattern=NO_NUL, description="At most PARLEY_MAX_MESSAGE_CHARS characters (5,000)")
]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]

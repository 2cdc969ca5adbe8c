"""Request bodies are decoded in one step, strictly, into the type that the handler names.

Litestar itself first decodes to plain objects and then converts them leniently: "60" would pass for 60.
"""

from functools import cache
from typing import Any

import msgspec
from litestar import Request

from kernel.auth import Principal


class StrictRequest(Request[Principal, Any, Any]):
    """The application's `request_class`."""

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`.

        Raises:
            msgspec.DecodeError: it is not JSON, or (ValidationError) not as documented.
            RecursionError: it is nested too deeply.
        """
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        try:
            return _decoder(field.annotation if field else Any).decode(await self.body())
        except UnicodeDecodeError:
            raise msgspec.DecodeError("a text is not valid UTF-8") from None


@cache
def _decoder(kind: object) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)

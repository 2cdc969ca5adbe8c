"""Request bodies are decoded in one step, strictly, into the type that the handler names: as JSON, whatever they
are said to be.

Litestar itself first decodes to plain objects and then converts them leniently: "60" would pass for 60.
"""

from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_413_REQUEST_ENTITY_TOO_LARGE as TOO_LARGE

from kernel.auth import Principal
from kernel.errors import MalformedError, TooLargeError


class StrictRequest(Request[Principal, Any, Any]):
    """The application's `request_class`."""

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`.

        Raises:
            msgspec.DecodeError: it is not JSON, or (ValidationError) not as documented.
            RecursionError: it is nested too deeply.
            MalformedError: it is compressed.
        """
        if self.headers.get("content-encoding", "identity") != "identity":
            raise MalformedError("Content-Encoding is not understood here; send the body as it is")
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        try:
            return _decoder(field.annotation if field else Any).decode(await self.body())
        except UnicodeDecodeError:
            raise msgspec.DecodeError("a text is not valid UTF-8") from None

    async def body(self) -> bytes:
        """Return the body as it came.

        Raises:
            TooLargeError: naming the limit.
            MalformedError: the client went away in the middle of it.
        """
        try:
            return await super().body()
        except HTTPException as error:
            if error.status_code == TOO_LARGE:
                limit = self.route_handler.resolve_request_max_body_size()
                raise TooLargeError(f"The body may have at most {limit} bytes") from None
            raise MalformedError("The body ended early") from None


@cache
def _decoder(kind: object) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)

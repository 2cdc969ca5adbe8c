"""What every test stands on."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One uvloop for the whole run, as `parley serve` has: fixtures of any scope may be asynchronous."""
    return "asyncio", {"use_uvloop": True}

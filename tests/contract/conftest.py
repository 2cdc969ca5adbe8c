"""One server for all contract tests of a worker, with everything switched on that can be."""

from collections.abc import Iterator

import pytest

from tests.support.databases import Databases
from tests.support.servers import Server, running_server


@pytest.fixture(scope="package")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process that also lets developers in."""
    folder = tmp_path_factory.mktemp("contract")
    later = dict.fromkeys(("PARLEY_PUSH_DELAY_S", "PARLEY_SMS_DELAY_S"), "86400")  # nothing happens by itself meanwhile
    settings = {"PARLEY_DEV_LOGIN": "true", **later}
    with postgres.fresh() as dsn, running_server(dsn, folder, **settings) as running:
        yield running

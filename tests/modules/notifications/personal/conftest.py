"""A dispute on two servers, which hear of each other by Redis."""

from collections.abc import Iterator

import pytest

from tests.support.databases import Databases
from tests.support.redis_server import RedisServer
from tests.support.scene import Pair, Scene, two_hosts


@pytest.fixture(scope="module")
def pair(postgres: Databases, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with postgres.fresh() as dsn, two_hosts(dsn, folder, REDIS_URL=redis.url) as pair:
        yield pair


@pytest.fixture
def scene(pair: Pair) -> Scene:
    return Scene(*pair)

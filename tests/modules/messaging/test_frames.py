"""Every frame that a client receives equals a stored record, field by field."""

from pathlib import Path

from tests.support.log import damage
from tests.support.promises import broken_promises
from tests.support.servers import running_server
from tests.support.talker import booking, settled, talking, under_load


async def test_frames_and_acks_say_what_is_stored(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        talkers = booking(server, "b1", "ana", "ben", "cem")
        async with talking(*talkers):
            await under_load(talkers)
            found = await settled(dsn, talkers)
    assert damage(found) == []
    assert broken_promises(found, talkers) == []
    assert sum(len(talker.frames) for talker in talkers) == 3 * found.last_seq


async def test_the_same_check_finds_frames_that_say_something_else(dsn: str, tmp_path: Path) -> None:
    """The broken variant: what is announced is written in capitals."""
    with running_server(dsn, tmp_path, variant="altered_frames") as server:
        talkers = booking(server, "b1", "ana", "ben")
        async with talking(*talkers):
            await under_load(talkers)
            found = await settled(dsn, talkers)
    assert damage(found) == []
    assert {fault.split(":")[0] for fault in broken_promises(found, talkers)} == {"untrue"}

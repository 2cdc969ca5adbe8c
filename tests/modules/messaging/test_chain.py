"""The hash chain: whatever is changed, dropped, added or moved shows, at its place."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from modules.messaging.log.append import extend
from modules.messaging.log.chain import Genesis, canonical_genesis, genesis_hash
from modules.messaging.log.record import Draft, Head, Record
from modules.messaging.log.verify import first_bad_seq

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
NAMES = st.sampled_from(["ana", "ben", "żółć", 'c"m'])

Chain = tuple[str, list[Record]]


def drafts() -> st.SearchStrategy[Draft]:
    """Texts and membership records."""
    texts = st.builds(
        Draft, kind=st.just("text"), sender_id=NAMES, sender_username=NAMES, sender_display_name=NAMES,
        client_id=TEXTS, content=TEXTS,
    )  # fmt: skip
    changes = st.builds(
        Draft,
        kind=st.sampled_from(["participant_joined", "participant_left", "participant_role_changed"]),
        details=st.fixed_dictionaries({"user_id": NAMES, "role": NAMES}),
    )
    return texts | changes


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """A genesis and the records after it."""
    channel = uuid4()
    genesis = canonical_genesis(
        Genesis(channel, "b1", "booking", "2026-01-31T09:00:00.000000Z", "context", {"ana": "x"})
    )
    head = Head(channel, 0, genesis_hash(genesis), START, None, 0)
    written = draw(st.lists(drafts(), min_size=2, max_size=8))
    return genesis, [extend(head, draft, START + timedelta(seconds=n)) for n, draft in enumerate(written)]


@given(chains())
def test_what_was_appended_verifies(chain: Chain) -> None:
    assert first_bad_seq(*chain) is None


ALTERATIONS: dict[str, Callable[[Record], Any]] = {
    "channel_id": lambda _: uuid4(),
    "id": lambda _: uuid4(),
    "seq": lambda r: r.seq + 1,
    "kind": lambda r: "text" if r.kind != "text" else "channel_archived",
    "sender_id": lambda r: (r.sender_id or "") + "x",
    "sender_username": lambda r: (r.sender_username or "") + "x",
    "sender_display_name": lambda r: (r.sender_display_name or "") + "x",
    "client_id": lambda r: (r.client_id or "") + "x",
    "target_id": lambda _: UUID(int=7),
    "content": lambda r: (r.content or "") + " ",
    "salt": lambda r: bytes(16) if r.salt else b"x",
    "commitment": lambda r: bytes(32) if r.salt else b"x",
    "details": lambda r: {**(r.details or {}), "role": "admin!"},
    "created_at": lambda r: r.created_at - timedelta(microseconds=1),
    "hash": lambda r: r.hash[::-1],
}


@given(chains(), st.data())
def test_an_altered_field_shows_at_its_record(chain: Chain, data: st.DataObject) -> None:
    genesis, records = chain
    place = data.draw(st.integers(0, len(records) - 1))
    field = data.draw(st.sampled_from(sorted(set(ALTERATIONS) & set(Record.__struct_fields__))))
    record = records[place]
    committed = field in {"sender_username", "sender_display_name", "content"}
    assume(not committed or record.salt is not None)
    records[place] = replace(record, **{field: ALTERATIONS[field](record)})
    assert first_bad_seq(genesis, records) == place + 1


@given(chains(), st.data())
def test_a_record_that_is_gone_doubled_or_moved_shows(chain: Chain, data: st.DataObject) -> None:
    genesis, records = chain
    place = data.draw(st.integers(0, len(records) - 2))
    fault = data.draw(st.sampled_from(["dropped", "doubled", "swapped", "renumbered"]))
    match fault:
        case "dropped":
            del records[place]
        case "doubled":
            records.insert(place, records[place])
            place += 1
        case "swapped":
            records[place], records[place + 1] = records[place + 1], records[place]
        case _:
            del records[place]
            records[place:] = [replace(record, seq=record.seq - 1) for record in records[place:]]
    assert first_bad_seq(genesis, records) == place + 1


@given(chains(), chains())
def test_records_follow_from_their_own_genesis_only(chain: Chain, other: Chain) -> None:
    assert first_bad_seq(other[0], chain[1]) == 1


@given(chains())
def test_a_log_cut_short_verifies_so_heads_are_kept_elsewhere_too(chain: Chain) -> None:
    """A limit of any chain: only somebody who knows the head notices a missing end."""
    genesis, records = chain
    assert first_bad_seq(genesis, records[:-1]) is None


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20))
def test_time_never_runs_backwards(seconds: list[int]) -> None:
    head = Head(uuid4(), 0, b"", START, None, 0)
    draft = Draft("text", sender_id="ana", client_id="c", content="x")
    moments = [extend(head, draft, START + timedelta(seconds=n)).created_at for n in seconds]
    assert moments == sorted(moments)

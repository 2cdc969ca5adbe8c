"""What is unread, said once: texts by others that aren't deleted, past one's read mark and past one's joining.

Statements that count it have a row `h` with channel_id, user_id, last_seq and `since` (see `SINCE`), all of one
snapshot. Places in a log are without gaps, so what a person who is far behind has not read is counted by what it is
not: their unread less the records that aren't texts and less their own texts. That costs what they wrote, not what was
written to them; `SMALL_PART` keeps it from ever costing more than a few times as much. What isn't a text is found by
an index of its own, which costs the writing of texts nothing.
"""

SINCE = "greatest(p.last_read_seq, p.joined_seq)"
"""`p`: the participant. What stands up to there isn't new to them."""

SMALL_PART = 4

_NEWEST = """(
    SELECT count(*) FROM chat_messages m
    WHERE m.channel_id = h.channel_id AND m.seq > h.since AND m.kind = 'text' AND m.sender_id <> h.user_id
)"""

_NOT_TEXTS = """(
    SELECT count(*) FROM chat_messages m WHERE m.channel_id = h.channel_id AND m.seq > h.since AND m.kind <> 'text'
)"""

_OWN = """(
    SELECT count(*) FROM chat_messages m
    WHERE m.channel_id = h.channel_id AND m.sender_id = h.user_id AND m.kind = 'text' AND m.seq + 0 > h.since
)"""
"""`+ 0`: looked up by the sender, whatever the planner believes."""

_DELETED = """(
    SELECT count(*) FROM chat_message_state s
    WHERE s.channel_id = h.channel_id AND s.seq > h.since AND s.deleted_seq IS NOT NULL AND s.sender_id <> h.user_id
)"""

UNREAD = f"""(
    CASE WHEN h.last_seq <= h.since THEN 0 ELSE
        CASE WHEN (h.last_seq - h.since) * {SMALL_PART} < h.last_seq THEN {_NEWEST}
             ELSE h.last_seq - h.since - {_NOT_TEXTS} - {_OWN} END
        - {_DELETED}
    END
)"""
"""How many texts are unread."""

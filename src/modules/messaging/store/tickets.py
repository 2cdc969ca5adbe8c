"""Tickets for sockets."""

ISSUE_TICKET = """
INSERT INTO chat_socket_tickets (ticket_hash, user_id, role, credential_expires_at, expires_at)
VALUES ($1, $2, $3, to_timestamp($4), now() + $5 * interval '1 second') RETURNING expires_at
"""


FORGET_TICKETS = """
DELETE FROM chat_socket_tickets WHERE ticket_hash IN (
    SELECT ticket_hash FROM chat_socket_tickets WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
"""Those who come at the same moment neither wait for each other's old tickets nor deadlock over them."""


REDEEM_TICKET = """
DELETE FROM chat_socket_tickets WHERE ticket_hash = $1
RETURNING user_id, role, extract(epoch FROM credential_expires_at)::float8 AS exp, expires_at > now() AS fresh
"""

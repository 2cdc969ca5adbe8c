"""Transports that are put aside, the sender's pace, what SMS cost, one more attempt, and an end to keeping the ledger.

`cut` marks a delivery before which older ones were removed: there its chain begins anew. A table of many millions of
deliveries is rewritten by this once, because the chain's column is computed.
"""

from alembic import op

revision = "0008_delivery_machine"
down_revision = "0007_alerts_by_transport"

CHAIN = """
    ALTER TABLE notification_deliveries
        ADD CONSTRAINT fk_notification_deliveries_chain FOREIGN KEY (user_id, channel_id, transport, after_seq)
            REFERENCES notification_deliveries (user_id, channel_id, transport, to_seq) DEFERRABLE INITIALLY IMMEDIATE
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE notification_deliveries
            ADD COLUMN lost_attempt integer NOT NULL DEFAULT 0,
            ADD COLUMN cut boolean NOT NULL DEFAULT false
    """)
    _chain("CASE WHEN cut THEN NULL ELSE nullif(from_seq - 1, 0) END")
    op.execute("DROP INDEX ix_notification_deliveries_waiting")
    op.execute("""
        CREATE INDEX ix_notification_deliveries_waiting ON notification_deliveries (transport, due_at, id)
        WHERE state = 'pending'
    """)
    op.execute("""
        ALTER TABLE notification_transports
            ALTER COLUMN paused_until DROP NOT NULL,
            ALTER COLUMN reason DROP NOT NULL,
            ADD COLUMN failures integer NOT NULL DEFAULT 0,
            ADD COLUMN holds integer NOT NULL DEFAULT 0,
            ADD COLUMN probe_id uuid,
            ADD COLUMN probing_until timestamptz,
            ADD COLUMN free_at timestamptz,
            ADD CONSTRAINT ck_notification_transports_probe CHECK ((probe_id IS NULL) = (probing_until IS NULL))
    """)
    op.execute("INSERT INTO notification_transports (name) VALUES ('push'), ('sms'), ('email') ON CONFLICT DO NOTHING")
    op.execute("""
        CREATE TABLE notification_usage (
            scope bytea NOT NULL,
            hour timestamptz NOT NULL,
            segments bigint NOT NULL,
            CONSTRAINT pk_notification_usage PRIMARY KEY (scope, hour)
        )
    """)
    op.execute("CREATE INDEX ix_notification_usage_hour ON notification_usage (hour)")
    op.execute("CREATE INDEX ix_notification_answers_received_at ON notification_answers (received_at)")


def downgrade() -> None:
    op.execute("DROP INDEX ix_notification_answers_received_at")
    op.execute("DROP TABLE notification_usage")
    op.execute("DELETE FROM notification_transports WHERE paused_until IS NULL")
    op.execute("UPDATE notification_transports SET reason = '' WHERE reason IS NULL")
    op.execute("""
        ALTER TABLE notification_transports
            DROP COLUMN failures, DROP COLUMN holds, DROP COLUMN probe_id, DROP COLUMN probing_until,
            DROP COLUMN free_at, ALTER COLUMN paused_until SET NOT NULL, ALTER COLUMN reason SET NOT NULL
    """)
    op.execute("DROP INDEX ix_notification_deliveries_waiting")
    op.execute("""
        CREATE INDEX ix_notification_deliveries_waiting ON notification_deliveries (due_at, id) WHERE state = 'pending'
    """)
    _close_gaps()
    _chain("nullif(from_seq - 1, 0)")
    op.execute("ALTER TABLE notification_deliveries DROP COLUMN lost_attempt, DROP COLUMN cut")


def _chain(expression: str) -> None:
    op.execute("ALTER TABLE notification_deliveries DROP CONSTRAINT fk_notification_deliveries_chain")
    op.execute("ALTER TABLE notification_deliveries DROP COLUMN after_seq")
    op.execute(f"""
        ALTER TABLE notification_deliveries ADD COLUMN after_seq bigint GENERATED ALWAYS AS ({expression}) STORED
    """)
    op.execute(CHAIN)


def _close_gaps() -> None:
    """Let a row that stands behind removed ones reach back to the one before them, or to the beginning."""
    op.execute("""
        UPDATE notification_deliveries AS d SET from_seq = 1 + coalesce((
            SELECT max(earlier.to_seq) FROM notification_deliveries AS earlier
            WHERE earlier.user_id = d.user_id AND earlier.channel_id = d.channel_id
              AND earlier.transport = d.transport AND earlier.to_seq < d.from_seq
        ), 0) WHERE cut
    """)

"""Alerts for each transport, which say since when they are open and why they were put off; deliveries of no channel."""

from alembic import op

revision = "0007_alerts_by_transport"
down_revision = "0006_search"

SUBJECT = ("channel_id", "from_seq", "to_seq")


def upgrade() -> None:
    op.execute("""
        ALTER TABLE notification_alerts
            ADD COLUMN transport text NOT NULL DEFAULT 'sms',
            ADD COLUMN begun_at timestamptz,
            ADD COLUMN held_by text,
            DROP CONSTRAINT pk_notification_alerts,
            DROP CONSTRAINT ck_notification_alerts_open
    """)
    op.execute("UPDATE notification_alerts SET begun_at = due_at")
    op.execute("""
        ALTER TABLE notification_alerts
            ALTER COLUMN transport DROP DEFAULT,
            ADD CONSTRAINT ck_notification_alerts_transport CHECK (transport IN ('sms', 'push', 'email')),
            ADD CONSTRAINT pk_notification_alerts PRIMARY KEY (user_id, channel_id, transport),
            ADD CONSTRAINT ck_notification_alerts_open CHECK (num_nulls(to_seq, begun_at, due_at) IN (0, 3))
    """)
    op.execute(f"""
        ALTER TABLE notification_deliveries
            {", ".join(f"ALTER COLUMN {column} DROP NOT NULL" for column in SUBJECT)},
            ADD CONSTRAINT ck_notification_deliveries_subject CHECK (num_nulls({", ".join(SUBJECT)}) IN (0, 3))
    """)


def downgrade() -> None:
    op.execute("DELETE FROM notification_deliveries WHERE channel_id IS NULL")
    op.execute(f"""
        ALTER TABLE notification_deliveries
            DROP CONSTRAINT ck_notification_deliveries_subject,
            {", ".join(f"ALTER COLUMN {column} SET NOT NULL" for column in SUBJECT)}
    """)
    op.execute("DELETE FROM notification_alerts WHERE transport <> 'sms'")
    op.execute("""
        ALTER TABLE notification_alerts
            DROP CONSTRAINT pk_notification_alerts,
            DROP CONSTRAINT ck_notification_alerts_open,
            DROP CONSTRAINT ck_notification_alerts_transport,
            DROP COLUMN transport, DROP COLUMN begun_at, DROP COLUMN held_by,
            ADD CONSTRAINT pk_notification_alerts PRIMARY KEY (user_id, channel_id),
            ADD CONSTRAINT ck_notification_alerts_open CHECK ((to_seq IS NULL) = (due_at IS NULL))
    """)

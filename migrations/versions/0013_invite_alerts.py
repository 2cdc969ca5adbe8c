"""Alerts about invitations beside those about messages: what is alerted of is a thread, which is a channel or one.

On the way back settled deliveries about invitations stay in the ledger, as ones about nothing in particular, which the
program before knows; what was yet to be sent isn't sent any more, and what was under way is `unknown`.
"""

from alembic import op

revision = "0013_invite_alerts"
down_revision = "0012_contacts"


def upgrade() -> None:
    op.execute("ALTER TABLE notification_alerts RENAME COLUMN channel_id TO thread_id")
    op.execute("""
        ALTER TABLE notification_alerts
            ADD COLUMN category text NOT NULL DEFAULT 'messages'
                CONSTRAINT ck_notification_alerts_category CHECK (category IN ('messages', 'invites'))
    """)
    op.execute("ALTER TABLE notification_alerts ALTER COLUMN category DROP DEFAULT")
    op.execute("ALTER TABLE notification_deliveries RENAME COLUMN channel_id TO thread_id")


def downgrade() -> None:
    op.execute("""
        UPDATE notification_deliveries SET
            thread_id = NULL, from_seq = NULL, to_seq = NULL, claim_id = NULL, lease_until = NULL,
            state = CASE WHEN state IN ('pending', 'claimed') THEN 'suppressed'
                         WHEN state = 'sending' THEN 'unknown' ELSE state END,
            reason = CASE WHEN state IN ('pending', 'claimed', 'sending') THEN 'downgraded' ELSE reason END
        WHERE category = 'invites' AND thread_id IS NOT NULL
    """)
    op.execute("ALTER TABLE notification_deliveries RENAME COLUMN thread_id TO channel_id")
    op.execute("DELETE FROM notification_alerts WHERE category = 'invites'")
    op.execute("ALTER TABLE notification_alerts DROP COLUMN category")
    op.execute("ALTER TABLE notification_alerts RENAME COLUMN thread_id TO channel_id")

"""Push subscriptions. An endpoint is one browser, so it belongs to one person: whoever subscribed there last."""

from alembic import op

revision = "0009_push"
down_revision = "0008_delivery_machine"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE notification_push_subscriptions (
            id uuid CONSTRAINT pk_notification_push_subscriptions PRIMARY KEY,
            user_id text NOT NULL,
            endpoint text NOT NULL CONSTRAINT uq_notification_push_subscriptions_endpoint UNIQUE,
            p256dh text NOT NULL,
            auth text NOT NULL,
            vapid_key text NOT NULL,
            expires_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE INDEX ix_notification_push_subscriptions_user_id_updated_at
        ON notification_push_subscriptions (user_id, updated_at)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE notification_push_subscriptions")

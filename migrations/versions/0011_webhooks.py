"""Webhooks of the host: who is to hear of what, and the log of what was sent, which is also the queue.

An event is kept once, however many webhooks are sent it. A webhook's deliveries don't hang on its row by a foreign key
that deletes: there may be millions, and they are cleared away little by little.
"""

from alembic import op

revision = "0011_webhooks"
down_revision = "0010_notification_secrets"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE notification_webhooks (
            id uuid CONSTRAINT pk_notification_webhooks PRIMARY KEY,
            url text NOT NULL,
            events text[] NOT NULL,
            description text,
            secret text NOT NULL,
            previous_secret text,
            previous_until timestamptz,
            disabled_at timestamptz,
            disabled_reason text CONSTRAINT ck_notification_webhooks_disabled_reason
                CHECK (disabled_reason IN ('requested', 'gone', 'failing')),
            failures integer NOT NULL DEFAULT 0,
            failing_since timestamptz,
            resting_until timestamptz,
            deleted_at timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT ck_notification_webhooks_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
            CONSTRAINT ck_notification_webhooks_previous CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
        ) WITH (fillfactor = 70)
    """)
    op.execute("""
        CREATE TABLE notification_webhook_events (
            id uuid CONSTRAINT pk_notification_webhook_events PRIMARY KEY,
            event_type text NOT NULL,
            occurred_at timestamptz NOT NULL,
            payload bytea NOT NULL,
            created_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX ix_notification_webhook_events_created_at ON notification_webhook_events (created_at)")
    op.execute("""
        CREATE TABLE notification_webhook_deliveries (
            id uuid CONSTRAINT pk_notification_webhook_deliveries PRIMARY KEY,
            webhook_id uuid NOT NULL CONSTRAINT fk_notification_webhook_deliveries_webhook_id
                REFERENCES notification_webhooks,
            event_id uuid NOT NULL CONSTRAINT fk_notification_webhook_deliveries_event_id
                REFERENCES notification_webhook_events ON DELETE CASCADE,
            event_type text NOT NULL,
            state text NOT NULL CONSTRAINT ck_notification_webhook_deliveries_state
                CHECK (state IN ('pending', 'sending', 'delivered', 'dead')),
            reason text,
            failures integer NOT NULL DEFAULT 0,
            attempts jsonb NOT NULL DEFAULT '[]',
            due_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            claim_id uuid,
            lease_until timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT uq_notification_webhook_deliveries_event_id_webhook_id UNIQUE (event_id, webhook_id),
            CONSTRAINT ck_notification_webhook_deliveries_lease CHECK (
                (state = 'sending') = (claim_id IS NOT NULL AND lease_until IS NOT NULL)
            )
        ) WITH (fillfactor = 70)
    """)
    op.execute("""
        CREATE INDEX ix_notification_webhook_deliveries_log ON notification_webhook_deliveries (webhook_id, id)
    """)
    op.execute("""
        CREATE INDEX ix_notification_webhook_deliveries_state ON notification_webhook_deliveries (webhook_id, state, id)
    """)
    for name, column, state in (
        ("waiting", "webhook_id, due_at, id", "pending"),
        ("expiring", "expires_at", "pending"),
        ("leased", "lease_until", "sending"),
    ):
        op.execute(f"""
            CREATE INDEX ix_notification_webhook_deliveries_{name} ON notification_webhook_deliveries ({column})
            WHERE state = '{state}'
        """)


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_events", "webhooks"):
        op.execute(f"DROP TABLE notification_{table}")

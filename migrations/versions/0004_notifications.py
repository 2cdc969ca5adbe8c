"""Preferences, alerts, the ledger of deliveries, and what is known of addresses.

The ranges of one person and channel form a chain: each begins behind one that ended there (`after_seq`), no two begin
or end at the same place. So they can't overlap, and none can be left out. That needs no extension, and costs little:
an exclusion constraint over ranges of text keys took twenty times as long.
"""

from alembic import op

revision = "0004_notifications"
down_revision = "0003_messaging"

STATES = """
    'pending', 'claimed', 'sending', 'accepted', 'delivered', 'undelivered', 'failed', 'unknown', 'suppressed', 'dead'
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE notification_preferences (
            user_id text CONSTRAINT pk_notification_preferences PRIMARY KEY,
            push boolean NOT NULL DEFAULT true,
            sms boolean NOT NULL DEFAULT true,
            email boolean NOT NULL DEFAULT true,
            messages boolean NOT NULL DEFAULT true,
            invites boolean NOT NULL DEFAULT true,
            quiet_start text,
            quiet_end text,
            quiet_time_zone text,
            paused_until timestamptz,
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_notification_preferences_quiet CHECK ((quiet_start IS NULL) = (quiet_end IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE notification_alerts (
            user_id text NOT NULL,
            channel_id uuid NOT NULL,
            alerted_to bigint NOT NULL DEFAULT 0,
            to_seq bigint,
            message_count integer NOT NULL DEFAULT 0,
            due_at timestamptz,
            CONSTRAINT pk_notification_alerts PRIMARY KEY (user_id, channel_id),
            CONSTRAINT ck_notification_alerts_open CHECK ((to_seq IS NULL) = (due_at IS NULL)),
            CONSTRAINT ck_notification_alerts_ahead CHECK (to_seq > alerted_to)
        ) WITH (fillfactor = 80)
    """)
    op.execute("CREATE INDEX ix_notification_alerts_due_at ON notification_alerts (due_at) WHERE due_at IS NOT NULL")
    _deliveries()
    op.execute("""
        CREATE TABLE notification_addresses (
            address_hash bytea CONSTRAINT pk_notification_addresses PRIMARY KEY,
            opted_out_at timestamptz,
            invalid_at timestamptz,
            reason text
        )
    """)
    op.execute("""
        CREATE TABLE notification_answers (
            provider_id text CONSTRAINT pk_notification_answers PRIMARY KEY,
            received_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE notification_transports (
            name text CONSTRAINT pk_notification_transports PRIMARY KEY,
            paused_until timestamptz NOT NULL,
            reason text NOT NULL
        )
    """)


def _deliveries() -> None:
    op.execute(f"""
        CREATE TABLE notification_deliveries (
            id uuid CONSTRAINT pk_notification_deliveries PRIMARY KEY,
            user_id text NOT NULL,
            transport text NOT NULL
                CONSTRAINT ck_notification_deliveries_transport CHECK (transport IN ('sms', 'push', 'email')),
            category text NOT NULL
                CONSTRAINT ck_notification_deliveries_category CHECK (category IN ('messages', 'invites')),
            channel_id uuid NOT NULL,
            from_seq bigint NOT NULL,
            to_seq bigint NOT NULL,
            after_seq bigint GENERATED ALWAYS AS (nullif(from_seq - 1, 0)) STORED,
            message_count integer NOT NULL,
            state text NOT NULL CONSTRAINT ck_notification_deliveries_state CHECK (state IN ({STATES})),
            reason text,
            provider_id text,
            attempts integer NOT NULL DEFAULT 0,
            failures integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL,
            claim_id uuid,
            lease_until timestamptz,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT ck_notification_deliveries_range CHECK (0 < from_seq AND from_seq <= to_seq),
            CONSTRAINT ck_notification_deliveries_lease CHECK (
                (state IN ('claimed', 'sending')) = (claim_id IS NOT NULL AND lease_until IS NOT NULL)
            ),
            CONSTRAINT uq_notification_deliveries_begin UNIQUE (user_id, channel_id, transport, from_seq),
            CONSTRAINT uq_notification_deliveries_end UNIQUE (user_id, channel_id, transport, to_seq),
            CONSTRAINT fk_notification_deliveries_chain FOREIGN KEY (user_id, channel_id, transport, after_seq)
                REFERENCES notification_deliveries (user_id, channel_id, transport, to_seq)
                DEFERRABLE INITIALLY IMMEDIATE
        )
    """)
    op.execute("CREATE INDEX ix_notification_deliveries_user_id_id ON notification_deliveries (user_id, id)")
    op.execute("CREATE INDEX ix_notification_deliveries_state_id ON notification_deliveries (state, id)")
    op.execute("""
        CREATE INDEX ix_notification_deliveries_waiting ON notification_deliveries (due_at, id) WHERE state = 'pending'
    """)
    op.execute("""
        CREATE INDEX ix_notification_deliveries_leased ON notification_deliveries (lease_until)
        WHERE lease_until IS NOT NULL
    """)


def downgrade() -> None:
    for table in ("transports", "answers", "addresses", "deliveries", "alerts", "preferences"):
        op.execute(f"DROP TABLE notification_{table}")

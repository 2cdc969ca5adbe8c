"""Preferences, alerts, the ledger of deliveries, and what is known of addresses.

Ranges are kept apart by an exclusion constraint over ranges of text keys, which needs no extension: between
`sms ana <channel> …007` and `sms ana <channel> …009` lie only keys of the same transport, person and channel.
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
    op.execute('CREATE TYPE notification_span AS RANGE (subtype = text, collation = "C")')
    op.execute("""
        CREATE FUNCTION notification_span_of(
            transport text, user_id text, channel_id uuid, from_seq bigint, to_seq bigint
        ) RETURNS notification_span LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN notification_span(
            transport || ' ' || user_id || ' ' || channel_id::text || ' ' || lpad(from_seq::text, 19, '0'),
            transport || ' ' || user_id || ' ' || channel_id::text || ' ' || lpad(to_seq::text, 19, '0'),
            '[]'
        )
    """)
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
            CONSTRAINT ex_notification_deliveries_span EXCLUDE USING gist (
                notification_span_of(transport, user_id, channel_id, from_seq, to_seq) WITH &&
            )
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
    op.execute("DROP FUNCTION notification_span_of")
    op.execute("DROP TYPE notification_span")

"""The outbox, idempotency keys, and the trigger that makes a table append-only."""

from alembic import op

revision = "0001_bus"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE bus_outbox (
            id uuid CONSTRAINT pk_bus_outbox PRIMARY KEY,
            consumer text NOT NULL,
            event_type text NOT NULL,
            payload bytea NOT NULL,
            staged_at timestamptz NOT NULL,
            available_at timestamptz NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            last_error text,
            dead_at timestamptz
        ) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000)
    """)
    op.execute("""
        CREATE INDEX ix_bus_outbox_waiting ON bus_outbox (consumer, available_at, id) WHERE dead_at IS NULL
    """)
    op.execute("""
        CREATE TABLE kernel_idempotency_keys (
            caller text NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            body bytea,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_kernel_idempotency_keys PRIMARY KEY (caller, key)
        )
    """)
    op.execute("CREATE INDEX ix_kernel_idempotency_keys_created_at ON kernel_idempotency_keys (created_at)")
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP TABLE kernel_idempotency_keys")
    op.execute("DROP TABLE bus_outbox")

"""Contexts, channels, participants and the append-only log."""

from alembic import op

revision = "0003_messaging"
down_revision = "0002_identity"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE chat_contexts (
            context_type text NOT NULL,
            context_id text NOT NULL,
            title text,
            status text NOT NULL DEFAULT 'open' CONSTRAINT ck_chat_contexts_status CHECK (status IN ('open', 'closed')),
            metadata jsonb NOT NULL DEFAULT '{}',
            participants jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_chat_contexts PRIMARY KEY (context_type, context_id)
        )
    """)
    op.execute("""
        CREATE TABLE chat_channels (
            id uuid CONSTRAINT pk_chat_channels PRIMARY KEY,
            kind text NOT NULL CONSTRAINT ck_chat_channels_kind CHECK (kind IN ('context', 'direct', 'group')),
            context_type text,
            context_id text,
            title text,
            status text NOT NULL DEFAULT 'active'
                CONSTRAINT ck_chat_channels_status CHECK (status IN ('active', 'archived')),
            genesis text NOT NULL,
            last_seq bigint NOT NULL DEFAULT 0,
            head_hash bytea NOT NULL,
            membership_seq bigint NOT NULL DEFAULT 0,
            last_record_at timestamptz NOT NULL,
            last_message_at timestamptz,
            created_at timestamptz NOT NULL,
            CONSTRAINT uq_chat_channels_context_type_context_id UNIQUE (context_type, context_id),
            CONSTRAINT fk_chat_channels_context_type_context_id FOREIGN KEY (context_type, context_id)
                REFERENCES chat_contexts (context_type, context_id)
        ) WITH (fillfactor = 50)
    """)
    op.execute("""
        CREATE TABLE chat_participants (
            channel_id uuid NOT NULL,
            user_id text NOT NULL,
            role text NOT NULL,
            joined_seq bigint NOT NULL DEFAULT 0,
            joined_at timestamptz NOT NULL,
            left_seq bigint,
            left_at timestamptz,
            last_delivered_seq bigint NOT NULL DEFAULT 0,
            last_read_seq bigint NOT NULL DEFAULT 0,
            last_read_at timestamptz,
            muted_until timestamptz,
            CONSTRAINT pk_chat_participants PRIMARY KEY (channel_id, user_id),
            CONSTRAINT fk_chat_participants_channel_id FOREIGN KEY (channel_id) REFERENCES chat_channels (id),
            CONSTRAINT ck_chat_participants_marks CHECK (last_read_seq <= last_delivered_seq)
        ) WITH (fillfactor = 80)
    """)
    op.execute("CREATE INDEX ix_chat_participants_user_id ON chat_participants (user_id) WHERE left_seq IS NULL")
    op.execute("""
        CREATE TABLE chat_messages (
            channel_id uuid NOT NULL,
            seq bigint NOT NULL,
            id uuid NOT NULL,
            kind text NOT NULL,
            sender_id text,
            sender_username text,
            sender_display_name text,
            client_id text,
            target_id uuid,
            content text,
            salt bytea,
            commitment bytea,
            details jsonb,
            created_at timestamptz NOT NULL,
            hash bytea NOT NULL,
            CONSTRAINT pk_chat_messages PRIMARY KEY (channel_id, seq),
            CONSTRAINT uq_chat_messages_id UNIQUE (id),
            CONSTRAINT uq_chat_messages_channel_id_sender_id_client_id UNIQUE (channel_id, sender_id, client_id)
        )
    """)
    op.execute("""
        CREATE FUNCTION chat_expect_heads(locked bigint, expected bigint) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            IF locked <> expected THEN RAISE EXCEPTION 'a head has moved'; END IF;
            RETURN true;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON chat_messages
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON chat_messages
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    op.execute("ALTER TABLE chat_messages ENABLE ALWAYS TRIGGER refuse_change")
    op.execute("ALTER TABLE chat_messages ENABLE ALWAYS TRIGGER refuse_truncate")

    op.execute("""
        CREATE TABLE chat_socket_tickets (
            ticket_hash bytea CONSTRAINT pk_chat_socket_tickets PRIMARY KEY,
            user_id text NOT NULL,
            role text NOT NULL,
            credential_expires_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX ix_chat_socket_tickets_expires_at ON chat_socket_tickets (expires_at)")


def downgrade() -> None:
    for table in ("chat_socket_tickets", "chat_messages", "chat_participants", "chat_channels", "chat_contexts"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION chat_expect_heads(bigint, bigint)")

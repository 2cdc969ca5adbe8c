"""Direct channels, what became of messages, and telling other instances of changed memberships."""

from alembic import op

revision = "0005_conversations"
down_revision = "0004_notifications"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE chat_channels
            ADD COLUMN direct_low text,
            ADD COLUMN direct_high text,
            ADD CONSTRAINT uq_chat_channels_direct_low_direct_high UNIQUE (direct_low, direct_high),
            ADD CONSTRAINT ck_chat_channels_direct
                CHECK (CASE kind WHEN 'direct' THEN coalesce(direct_low COLLATE "C" < direct_high, false)
                                 ELSE direct_low IS NULL AND direct_high IS NULL END)
    """)
    op.execute("""
        CREATE TABLE chat_message_state (
            channel_id uuid NOT NULL,
            seq bigint NOT NULL,
            sender_id text,
            revision integer NOT NULL DEFAULT 0,
            revision_seq bigint,
            edited_at timestamptz,
            deleted_seq bigint,
            deleted_at timestamptz,
            deleted_by text,
            reactions jsonb NOT NULL DEFAULT '{}',
            updated_seq bigint NOT NULL,
            CONSTRAINT pk_chat_message_state PRIMARY KEY (channel_id, seq)
        )
    """)
    op.execute("CREATE INDEX ix_chat_messages_target_id ON chat_messages (target_id) WHERE target_id IS NOT NULL")
    op.execute("CREATE INDEX ix_chat_messages_channel_id_seq ON chat_messages (channel_id, seq) WHERE kind <> 'text'")
    op.execute("""
        CREATE FUNCTION chat_tell_membership() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('parley_membership', NEW.channel_id::text);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER tell_membership AFTER INSERT OR UPDATE OF left_seq, role ON chat_participants
        FOR EACH ROW EXECUTE FUNCTION chat_tell_membership()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER tell_membership ON chat_participants")
    op.execute("DROP FUNCTION chat_tell_membership()")
    op.execute("DROP INDEX ix_chat_messages_channel_id_seq")
    op.execute("DROP INDEX ix_chat_messages_target_id")
    op.execute("DROP TABLE chat_message_state")
    op.execute("""
        ALTER TABLE chat_channels
            DROP CONSTRAINT ck_chat_channels_direct,
            DROP COLUMN direct_low,
            DROP COLUMN direct_high
    """)

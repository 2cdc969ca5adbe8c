"""Direct channels, what became of messages, and telling other instances of changed memberships."""

from alembic import op

revision = "0005_conversations"
down_revision = "0004_notifications"

FOLD = """
    INSERT INTO chat_message_state (channel_id, seq, sender_id, revision, revision_seq, edited_at, deleted_seq,
        deleted_at, deleted_by, reactions, updated_seq)
    SELECT t.channel_id, t.seq, t.sender_id, count(*) FILTER (WHERE c.kind = 'revision'),
        max(c.seq) FILTER (WHERE c.kind = 'revision'), max(c.created_at) FILTER (WHERE c.kind = 'revision'),
        max(c.seq) FILTER (WHERE c.kind = 'deletion'), max(c.created_at) FILTER (WHERE c.kind = 'deletion'),
        max(c.sender_id) FILTER (WHERE c.kind = 'deletion'), coalesce(max(r.reactions::text)::jsonb, '{}'), max(c.seq)
    FROM chat_messages c JOIN chat_messages t ON t.id = c.target_id AND t.kind = 'text'
    LEFT JOIN (
        SELECT target_id, jsonb_object_agg(emoji, users) AS reactions FROM (
            SELECT target_id, emoji, jsonb_object_agg(sender_id, seq) AS users FROM (
                SELECT DISTINCT ON (target_id, sender_id, details ->> 'emoji')
                    target_id, sender_id, details ->> 'emoji' AS emoji, seq, kind
                FROM chat_messages WHERE kind IN ('reaction', 'reaction_removed')
                ORDER BY target_id, sender_id, details ->> 'emoji', seq DESC
            ) last WHERE kind = 'reaction' GROUP BY target_id, emoji
        ) by_emoji GROUP BY target_id
    ) r ON r.target_id = t.id
    GROUP BY t.channel_id, t.seq, t.sender_id
"""
"""What a database that was migrated back says of its messages: what was deleted isn't shown again."""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE chat_channels
            ADD COLUMN direct_low text,
            ADD COLUMN direct_high text
    """)
    op.execute("""
        UPDATE chat_channels c SET direct_low = p.low, direct_high = p.high
        FROM (
            SELECT channel_id, min(user_id COLLATE "C") AS low, max(user_id COLLATE "C") AS high
            FROM chat_participants GROUP BY channel_id
        ) p
        WHERE p.channel_id = c.id AND c.kind = 'direct'
    """)
    op.execute("""
        ALTER TABLE chat_channels
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
    op.execute(FOLD)
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

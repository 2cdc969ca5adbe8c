"""The search index: a cache of the log, kept beside it."""

from alembic import op

revision = "0006_search"
down_revision = "0005_conversations"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE chat_search (
            channel_id uuid NOT NULL,
            seq bigint NOT NULL,
            created_at timestamptz NOT NULL,
            terms tsvector NOT NULL,
            CONSTRAINT pk_chat_search PRIMARY KEY (channel_id, seq)
        )
    """)
    op.execute("CREATE INDEX ix_chat_search_terms ON chat_search USING gin (terms) WITH (fastupdate = off)")
    op.execute("""
        CREATE TABLE chat_search_progress (
            channel_id uuid NOT NULL,
            indexed_seq bigint NOT NULL DEFAULT 0,
            CONSTRAINT pk_chat_search_progress PRIMARY KEY (channel_id)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE chat_search_progress")
    op.execute("DROP TABLE chat_search")

"""Secrets that notifications make up for themselves: they outlive restarts, and every instance has the same."""

from alembic import op

revision = "0010_notification_secrets"
down_revision = "0009_push"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE notification_secrets (
            name text CONSTRAINT pk_notification_secrets PRIMARY KEY,
            secret bytea NOT NULL CONSTRAINT ck_notification_secrets_length CHECK (length(secret) >= 32)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE notification_secrets")

"""People and API keys."""

from alembic import op

revision = "0002_identity"
down_revision = "0001_bus"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE identity_users (
            user_id text CONSTRAINT pk_identity_users PRIMARY KEY,
            username text NOT NULL,
            display_name text NOT NULL,
            avatar_url text,
            phone text,
            email text,
            time_zone text,
            locale text,
            connect_pin text,
            connect_pin_hash bytea CONSTRAINT uq_identity_users_connect_pin_hash UNIQUE,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            deactivated_at timestamptz
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_identity_users_username ON identity_users (lower(username))
        WHERE deactivated_at IS NULL
    """)
    op.execute("""
        CREATE TABLE identity_api_keys (
            id uuid CONSTRAINT pk_identity_api_keys PRIMARY KEY,
            name text NOT NULL,
            prefix text NOT NULL,
            key_hash bytea NOT NULL CONSTRAINT uq_identity_api_keys_key_hash UNIQUE,
            scopes text[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            last_used_at timestamptz,
            revoked_at timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE identity_api_keys")
    op.execute("DROP TABLE identity_users")

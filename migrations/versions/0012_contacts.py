"""Contacts, blocks, invitations and their history, templates, and what limits them.

The rules that two requests at once could break are held by constraints: one row for each pair of contacts, one pending
invitation between two people (whoever invited whom) and of one person into one channel, one end for each invitation.
"""

from alembic import op

revision = "0012_contacts"
down_revision = "0011_webhooks"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE contact_pairs (
            low_id text COLLATE "C" NOT NULL,
            high_id text COLLATE "C" NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_contact_pairs PRIMARY KEY (low_id, high_id),
            CONSTRAINT ck_contact_pairs_order CHECK (low_id < high_id)
        )
    """)
    op.execute("CREATE INDEX ix_contact_pairs_low_id_since ON contact_pairs (low_id, since, high_id)")
    op.execute("CREATE INDEX ix_contact_pairs_high_id_since ON contact_pairs (high_id, since, low_id)")
    op.execute("""
        CREATE TABLE contact_blocks (
            blocker_id text COLLATE "C" NOT NULL,
            blocked_id text COLLATE "C" NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_contact_blocks PRIMARY KEY (blocker_id, blocked_id),
            CONSTRAINT ck_contact_blocks_two CHECK (blocker_id <> blocked_id)
        )
    """)
    op.execute("CREATE INDEX ix_contact_blocks_blocked_id_blocker_id ON contact_blocks (blocked_id, blocker_id)")
    op.execute("""
        CREATE TABLE contact_invites (
            id uuid CONSTRAINT pk_contact_invites PRIMARY KEY,
            kind text NOT NULL CONSTRAINT ck_contact_invites_kind CHECK (kind IN ('contact', 'channel')),
            status text NOT NULL DEFAULT 'pending' CONSTRAINT ck_contact_invites_status
                CHECK (status IN ('pending', 'accepted', 'declined', 'revoked', 'expired')),
            invitor_id text COLLATE "C" NOT NULL,
            invitee_id text COLLATE "C" NOT NULL,
            channel_id uuid,
            channel_title text,
            channel_role text CONSTRAINT ck_contact_invites_channel_role
                CHECK (channel_role IN ('admin', 'moderator', 'member')),
            message text CONSTRAINT ck_contact_invites_message CHECK (char_length(message) BETWEEN 1 AND 500),
            metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            responded_at timestamptz,
            remind_at timestamptz,
            reminded_at timestamptz,
            reminders integer NOT NULL DEFAULT 0,
            CONSTRAINT ck_contact_invites_two CHECK (invitor_id <> invitee_id),
            CONSTRAINT ck_contact_invites_channel CHECK (
                CASE kind WHEN 'channel' THEN channel_id IS NOT NULL AND channel_role IS NOT NULL
                          ELSE channel_id IS NULL AND channel_role IS NULL AND channel_title IS NULL END),
            CONSTRAINT ck_contact_invites_responded
                CHECK ((responded_at IS NOT NULL) = (status IN ('accepted', 'declined'))),
            CONSTRAINT ck_contact_invites_times CHECK (expires_at > created_at)
        ) WITH (fillfactor = 80)
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_contact_invites_pending_pair
        ON contact_invites (least(invitor_id, invitee_id), greatest(invitor_id, invitee_id))
        WHERE status = 'pending' AND kind = 'contact'
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_contact_invites_pending_channel ON contact_invites (invitee_id, channel_id)
        WHERE status = 'pending' AND kind = 'channel'
    """)
    op.execute("CREATE INDEX ix_contact_invites_invitee_id_id ON contact_invites (invitee_id, id)")
    op.execute("CREATE INDEX ix_contact_invites_invitor_id_id ON contact_invites (invitor_id, id)")
    for side in ("invitee_id", "invitor_id"):
        op.execute(f"""
            CREATE INDEX ix_contact_invites_pending_{side}_id ON contact_invites ({side}, id) WHERE status = 'pending'
        """)
    op.execute("CREATE INDEX ix_contact_invites_pair ON contact_invites (invitor_id, invitee_id, responded_at)")
    op.execute("CREATE INDEX ix_contact_invites_expires_at ON contact_invites (expires_at) WHERE status = 'pending'")
    op.execute("""
        CREATE INDEX ix_contact_invites_remind_at ON contact_invites (remind_at)
        WHERE status = 'pending' AND remind_at IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE contact_invite_history (
            invite_id uuid NOT NULL
                CONSTRAINT fk_contact_invite_history_invite_id_contact_invites REFERENCES contact_invites (id),
            status text NOT NULL,
            at timestamptz NOT NULL,
            by text,
            CONSTRAINT pk_contact_invite_history PRIMARY KEY (invite_id, status)
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_contact_invite_history_end ON contact_invite_history (invite_id)
        WHERE status <> 'pending'
    """)
    op.execute("""
        CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON contact_invite_history
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON contact_invite_history
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    op.execute("ALTER TABLE contact_invite_history ENABLE ALWAYS TRIGGER refuse_change")
    op.execute("ALTER TABLE contact_invite_history ENABLE ALWAYS TRIGGER refuse_truncate")
    op.execute("""
        CREATE TABLE contact_invite_templates (
            name text CONSTRAINT pk_contact_invite_templates PRIMARY KEY,
            text text NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE contact_usage (
            scope text NOT NULL,
            subject bytea NOT NULL,
            since timestamptz NOT NULL,
            count integer NOT NULL,
            CONSTRAINT pk_contact_usage PRIMARY KEY (scope, subject, since)
        ) WITH (fillfactor = 70)
    """)
    op.execute("CREATE INDEX ix_contact_usage_since ON contact_usage (since)")


def downgrade() -> None:
    for table in ("usage", "invite_templates", "invite_history", "invites", "blocks", "pairs"):
        op.execute(f"DROP TABLE contact_{table}")

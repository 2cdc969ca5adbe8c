"""The role that the server acts as: it can't change or remove a row of an append-only table.

A table is append-only when it carries the `refuse_change` trigger (see the first migration). The trigger refuses
everybody, the owner included; the role is the second lock. Roles belong to the whole PostgreSQL cluster, so
several databases share this one, and it is never dropped.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

RUNTIME_ROLE = "parley_runtime"

CREATE_ROLE = f"""
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{RUNTIME_ROLE}') THEN
    CREATE ROLE {RUNTIME_ROLE} NOLOGIN;
  END IF;
  IF NOT pg_has_role(current_user, '{RUNTIME_ROLE}', 'MEMBER') THEN
    GRANT {RUNTIME_ROLE} TO CURRENT_USER;
  END IF;
EXCEPTION
  WHEN insufficient_privilege OR unique_violation OR duplicate_object OR internal_error THEN NULL;
END $$
"""

GRANT = f"""
DO $$ DECLARE guarded regclass; BEGIN
  GRANT USAGE ON SCHEMA public TO {RUNTIME_ROLE};
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {RUNTIME_ROLE};
  GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {RUNTIME_ROLE};
  FOR guarded IN
    SELECT DISTINCT t.tgrelid::regclass FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE p.proname = 'refuse_change' AND NOT t.tgisinternal
  LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM {RUNTIME_ROLE}', guarded);
  END LOOP;
END $$
"""

USABLE = f"""
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{RUNTIME_ROLE}')
   AND CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = '{RUNTIME_ROLE}')
            THEN pg_has_role(current_user, '{RUNTIME_ROLE}', 'MEMBER') ELSE false END
"""


async def apply(connection: AsyncConnection) -> bool:
    """Make the role where the user may, and grant it what it needs, in the caller's transaction.

    Returns:
        Whether the server can act as the role; if not, the triggers stand alone.
    """
    await connection.execute(text(CREATE_ROLE))
    if not (await connection.execute(text(USABLE))).scalar_one():
        return False
    await connection.execute(text(GRANT))
    return True

"""A mark that changes whenever a consent, a stream or a stay does, so that others may keep what they asked.

The mark is a random id in a table of one row, renewed by triggers in the transaction of the change: whoever
reads the same mark twice may rely on what `queries.consent_windows` told in between.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import connection

CREATE_MARK: Final = """
    CREATE TABLE identity.members_consent_mark (
        is_only boolean PRIMARY KEY DEFAULT true CONSTRAINT consent_mark_is_only CHECK (is_only),
        mark uuid NOT NULL DEFAULT gen_random_uuid()
    );
    INSERT INTO identity.members_consent_mark DEFAULT VALUES;
    CREATE FUNCTION identity.renew_consent_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = identity, pg_temp AS $$
    BEGIN
        INSERT INTO members_consent_mark AS held DEFAULT VALUES
        ON CONFLICT (is_only) DO UPDATE SET mark = EXCLUDED.mark;
        RETURN NULL;
    END $$;
    CREATE TRIGGER consent_mark AFTER INSERT OR UPDATE OR DELETE ON identity.members_consent
        FOR EACH STATEMENT EXECUTE FUNCTION identity.renew_consent_mark();
    CREATE TRIGGER consent_mark AFTER INSERT OR UPDATE OR DELETE ON identity.members_meterstream
        FOR EACH STATEMENT EXECUTE FUNCTION identity.renew_consent_mark();
    CREATE TRIGGER consent_mark AFTER UPDATE OR DELETE ON identity.members_occupancy
        FOR EACH STATEMENT EXECUTE FUNCTION identity.renew_consent_mark();
"""
DROP_MARK: Final = """
    DROP TRIGGER IF EXISTS consent_mark ON identity.members_occupancy;
    DROP TRIGGER IF EXISTS consent_mark ON identity.members_meterstream;
    DROP TRIGGER IF EXISTS consent_mark ON identity.members_consent;
    DROP FUNCTION IF EXISTS identity.renew_consent_mark();
    DROP TABLE IF EXISTS identity.members_consent_mark;
"""


def mark() -> UUID | None:
    """The present mark; None, which no mark equals, when the table was emptied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT mark FROM members_consent_mark")
        found = cursor.fetchone()
    return found[0] if found else None

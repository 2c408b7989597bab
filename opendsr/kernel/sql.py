"""SQL of the kernel's migrations."""

from __future__ import annotations

from typing import Final

# Exclusion constraints over (scalar, range) need btree_gist. It is a trusted extension: the database's owner
# may create it. A server without it can still use int8range(id, id, '[]') WITH && in place of id WITH =.
CREATE_BTREE_GIST: Final = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') THEN
        CREATE EXTENSION IF NOT EXISTS btree_gist;
    END IF;
END
$$
"""

CREATE_REFUSE_CHANGE: Final = """
CREATE FUNCTION operations.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$
"""
DROP_REFUSE_CHANGE: Final = "DROP FUNCTION operations.refuse_change()"

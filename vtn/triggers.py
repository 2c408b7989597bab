"""The triggers that notify `vtn_standing`; written down in SQL so that no writer can forget to.

Only what ends a VEN's right to an answer notifies: NOTIFY takes a lock at commit, so
last-seen times and the like must not. What waits for a VEN is told by `vtn.queueing`.
"""

from __future__ import annotations

from typing import Final

CREATE: Final = """
CREATE FUNCTION operations.vtn_notify_ven() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ven bigint;
BEGIN
    IF TG_TABLE_NAME = 'ven' THEN
        ven := OLD.id;
    ELSE
        ven := OLD.ven_id;
    END IF;
    PERFORM pg_notify('vtn_standing', ven::text);
    RETURN NULL;
END $$;

CREATE FUNCTION operations.vtn_notify_everybody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('vtn_standing', '*');
    RETURN NULL;
END $$;

CREATE TRIGGER vtn_certificate_changed AFTER UPDATE OR DELETE ON operations.ven_certificate
    FOR EACH ROW EXECUTE FUNCTION operations.vtn_notify_ven();
CREATE TRIGGER vtn_ven_changed AFTER UPDATE ON operations.ven
    FOR EACH ROW WHEN (
        OLD.registration_id <> '' AND NEW.registration_id = ''
        OR OLD.ven_id <> NEW.ven_id
    ) EXECUTE FUNCTION operations.vtn_notify_ven();
CREATE TRIGGER vtn_ven_gone AFTER DELETE ON operations.ven
    FOR EACH ROW EXECUTE FUNCTION operations.vtn_notify_ven();
CREATE TRIGGER vtn_ven_emptied AFTER TRUNCATE ON operations.ven
    FOR EACH STATEMENT EXECUTE FUNCTION operations.vtn_notify_everybody();
CREATE TRIGGER vtn_certificate_emptied AFTER TRUNCATE ON operations.ven_certificate
    FOR EACH STATEMENT EXECUTE FUNCTION operations.vtn_notify_everybody();
"""

DROP: Final = """
DROP TRIGGER vtn_certificate_emptied ON operations.ven_certificate;
DROP TRIGGER vtn_ven_emptied ON operations.ven;
DROP TRIGGER vtn_ven_gone ON operations.ven;
DROP TRIGGER vtn_ven_changed ON operations.ven;
DROP TRIGGER vtn_certificate_changed ON operations.ven_certificate;
DROP FUNCTION operations.vtn_notify_everybody();
DROP FUNCTION operations.vtn_notify_ven();
"""

CREATE_SECURITY: Final = """
CREATE TRIGGER vtn_ven_security_changed AFTER UPDATE ON operations.ven
    FOR EACH ROW WHEN (OLD.security <> NEW.security) EXECUTE FUNCTION operations.vtn_notify_ven();
"""

DROP_SECURITY: Final = "DROP TRIGGER vtn_ven_security_changed ON operations.ven;"

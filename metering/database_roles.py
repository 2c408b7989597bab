"""PostgreSQL roles for a deployment that keeps kinds of data apart; `manage.py database_roles` makes them.

Each is a group that cannot sign in: grant it to the login a process uses. `opendsr_operations` holds
operational telemetry and the running of campaigns, `opendsr_energy` members' detailed energy,
`opendsr_settlement` money and, through the audited door only, readings. None of them sees another's, nor
`identity`, where the link from a stream to a household is. The owner of the database, who migrates, sees all.
"""

from __future__ import annotations

from typing import Final

OPERATIONS, ENERGY, SETTLEMENT = "opendsr_operations", "opendsr_energy", "opendsr_settlement"
ROLES: Final = (OPERATIONS, ENERGY, SETTLEMENT)
OWN_SCHEMA: Final = {OPERATIONS: "operations", ENERGY: "energy", SETTLEMENT: "money"}
# What a trigger refuses to change no role may ask to: the tables are those that carry the trigger.
KEEP_APPEND_ONLY: Final = """
DO $$
DECLARE held record;
BEGIN
    FOR held IN
        SELECT place.nspname AS schema, kept.relname AS name
        FROM pg_trigger AS refusal
        JOIN pg_class AS kept ON kept.oid = refusal.tgrelid
        JOIN pg_namespace AS place ON place.oid = kept.relnamespace
        WHERE refusal.tgname = kept.relname || '_append_only'
    LOOP
        EXECUTE format(
            'REVOKE UPDATE, DELETE, TRUNCATE ON %I.%I FROM every_role', held.schema, held.name
        );
    END LOOP;
END
$$
""".replace("every_role", ", ".join(ROLES))


def statements() -> list[str]:
    """SQL that makes the roles and their grants; to be run again after each migration."""
    made = [
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        for role in ROLES
    ]
    for schema in ("identity", "operations", "energy", "money", "audited"):
        everyone = ", ".join(("PUBLIC", *ROLES))
        made += [
            f"REVOKE ALL ON SCHEMA {schema} FROM {everyone}",
            f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {everyone}",
            f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {everyone}",
        ]
    for role, schema in OWN_SCHEMA.items():
        made += [
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        ]
    made.append(KEEP_APPEND_ONLY)
    views = "metering_half_hour, metering_packed, metering_superseded, metering_source"
    made += [
        f"GRANT USAGE ON SCHEMA audited TO {SETTLEMENT}",
        "GRANT SELECT ON " + ", ".join(f"audited.{view}" for view in views.split(", ")) + f" TO {SETTLEMENT}",
        f"GRANT EXECUTE ON FUNCTION audited.announce_read, audited.is_announced TO {SETTLEMENT}",
        f"ALTER ROLE {SETTLEMENT} SET search_path = money, audited, public",
    ]
    return made

"""SQL of the metering migrations that Django's model language cannot say."""

from __future__ import annotations

from typing import Final

# A week a partition, made ahead and dropped by `partitions.py`; what falls in none goes to the default one.
CREATE_LIVE: Final = """
    CREATE TABLE energy.metering_live (
        at timestamptz NOT NULL,
        stream_id uuid NOT NULL,
        power_w integer NOT NULL,
        source_id smallint NOT NULL,
        PRIMARY KEY (stream_id, at, source_id)
    ) PARTITION BY RANGE (at);
    CREATE TABLE energy.metering_live_rest PARTITION OF energy.metering_live DEFAULT;
"""
DROP_LIVE: Final = "DROP TABLE energy.metering_live"

# A block is rewritten for each day that is added to it: the dead are to be found soon.
TUNE_PACKED: Final = """
    ALTER TABLE energy.metering_packed ALTER COLUMN payload SET STORAGE MAIN,
        ALTER COLUMN detail SET STORAGE MAIN,
        SET (autovacuum_vacuum_scale_factor = 0.02, toast_tuple_target = 4080);
    ALTER TABLE energy.metering_half_hour
        SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
"""
UNTUNE_PACKED: Final = """
    ALTER TABLE energy.metering_packed RESET (autovacuum_vacuum_scale_factor, toast_tuple_target);
    ALTER TABLE energy.metering_half_hour
        RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
"""

SOW_SOURCES: Final = """
    INSERT INTO energy.metering_source (code)
    VALUES ('n3rgy_csv'), ('powershaper_csv'), ('supplier'), ('lcl_csv'), ('generic_csv'), ('opendsr_csv'),
        ('cad'), ('hub'), ('simulated')
"""

# Days, after the reference's proposal; a co-op changes them in the records.
SOW_RETENTION_RULES: Final = """
    INSERT INTO energy.metering_retention_rule (kind, keep_days)
    VALUES ('live', 30), ('live_withdrawn', 1), ('half_hourly', 2192), ('withdrawn', 396), ('messages', 90)
"""

# The third door: views over the readings that answer only in a transaction that has announced a read, which
# is a row that nobody edits. The views run as their owner, so who reads through them needs no right to
# `energy`, and their names are the tables' own: a role with `audited` on its search_path runs the same SQL.
CREATE_AUDITED: Final = """
    CREATE SCHEMA audited;
    CREATE TABLE audited.metering_read (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        read_wall_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        role text NOT NULL,
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        purpose text NOT NULL,
        reader text NOT NULL,
        streams integer NOT NULL,
        streams_sha256 text NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz NOT NULL
    );
    CREATE INDEX metering_read_by_transaction ON audited.metering_read (transaction);
    CREATE TRIGGER metering_read_append_only BEFORE UPDATE OR DELETE ON audited.metering_read
        FOR EACH ROW EXECUTE FUNCTION operations.refuse_change();

    CREATE FUNCTION audited.announce_read(
        purpose text, reader text, stream_ids uuid[], starts_at timestamptz, ends_at timestamptz
    ) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = audited, pg_temp AS $$
        INSERT INTO metering_read (role, purpose, reader, streams, streams_sha256, starts_at, ends_at)
        VALUES (
            session_user, purpose, reader, cardinality(stream_ids),
            encode(sha256(convert_to(array_to_string(stream_ids, ','), 'UTF8')), 'hex'), starts_at, ends_at
        ) RETURNING id
    $$;
    CREATE FUNCTION audited.is_announced() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = audited, pg_temp AS $$
    BEGIN
        IF EXISTS (SELECT FROM metering_read WHERE transaction = pg_current_xact_id_if_assigned()) THEN
            RETURN true;
        END IF;
        RAISE EXCEPTION 'readings are read through audited.announce_read, in the same transaction'
            USING ERRCODE = 'insufficient_privilege';
    END
    $$;
    REVOKE ALL ON FUNCTION audited.announce_read FROM PUBLIC;
    REVOKE ALL ON FUNCTION audited.is_announced FROM PUBLIC;
    CREATE VIEW audited.metering_half_hour WITH (security_barrier) AS
        SELECT * FROM energy.metering_half_hour WHERE (SELECT audited.is_announced());
    CREATE VIEW audited.metering_packed WITH (security_barrier) AS
        SELECT * FROM energy.metering_packed WHERE (SELECT audited.is_announced());
    CREATE VIEW audited.metering_superseded WITH (security_barrier) AS
        SELECT * FROM energy.metering_superseded WHERE (SELECT audited.is_announced());
    CREATE VIEW audited.metering_source AS SELECT * FROM energy.metering_source;
"""
DROP_AUDITED: Final = "DROP SCHEMA audited CASCADE"

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

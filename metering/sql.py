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

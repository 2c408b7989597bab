"""The codes under which readings are known, best evidence first.

Where two sources hold the same half-hour, a measured reading beats an estimated one, and among equals the
source that stands earlier here wins: what the supplier or the DCC took from the meter itself, then what
other exports say, then what a device in the home saw. A code not named here comes last, in code order.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

PRECEDENCE: Final = (
    "n3rgy_csv",
    "n3rgy_json",
    "glowmarkt_json",
    "octopus",
    "powershaper_csv",
    "supplier",
    "lcl_csv",
    "generic_csv",
    "wide_csv",
    "opendsr_csv",
    "cad",
    "emoncms",
    "cad_power",
    "emoncms_power",
    "power_csv",
    "openadr",
    "hub",
    "simulated",
)


def source_id(code: str) -> int:
    """The number of a source, made on first use; safe when two imports use a new code at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM metering_source WHERE code = %s", [code])
        found = cursor.fetchone()
        if found is None:
            cursor.execute(
                "INSERT INTO metering_source (code) VALUES (%s)"
                " ON CONFLICT (code) DO UPDATE SET code = EXCLUDED.code RETURNING id",
                [code],
            )
            found = cursor.fetchone()
    return int(found[0])


def codes() -> dict[int, str]:
    """Number of each known source to its code."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, code FROM metering_source")
        return dict(cursor.fetchall())


def ranks() -> dict[int, int]:
    """Number of each known source to its rank, 0 the best."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, code FROM metering_source")
        rows = cursor.fetchall()
    ordered = sorted(rows, key=lambda row: (_place(row[1]), row[1]))
    return {int(number): rank for rank, (number, _) in enumerate(ordered)}


def _place(code: str) -> int:
    return PRECEDENCE.index(code) if code in PRECEDENCE else len(PRECEDENCE)

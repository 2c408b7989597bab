"""A consumer for the tests that kill workers: OPENDSR_EXTRA_TASKS loads it into a real worker process.

It writes its effect, says so in a file, and then, for some facts, stays in the middle of its transaction
while the file `hold` exists.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from django.db import connection

from opendsr.kernel import outbox

TOPIC = "test.kill_nine"
FOLDER_VARIABLE = "KILL_NINE_FOLDER"
POLL_SECONDS = 0.02


@outbox.consumer(TOPIC, "test.kill_nine.effect")
def effect(*, fact: outbox.Fact) -> None:
    """Write one effect row; block in the middle when the fact says so and `hold` exists."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO kill_nine_effect (fact_id) VALUES (%s)", [fact.id])
    (folder / f"{fact.payload['n']}.written").touch()
    while fact.payload["blocks"] and (folder / "hold").exists():
        time.sleep(POLL_SECONDS)

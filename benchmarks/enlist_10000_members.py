"""How long a register of 10,000 members and homes takes; a database of its own, thrown away.

python benchmarks/enlist_10000_members.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.import_rows import scratch_database

ROWS = 10_000
GOAL_SECONDS = 30


def show(done: int, of: int) -> None:
    sys.stdout.write(f"\r  {done:,}/{of:,} rows")
    sys.stdout.flush()


def main() -> None:
    with scratch_database():
        from members.enlisting import COLUMNS, enlist
        from members.models import MeterStream
        from members.mpan import check_digit
        from opendsr.kernel import clock

        lines = [",".join(COLUMNS)]
        for number in range(1, ROWS + 1):
            first = f"10{number:010}"
            lines.append(
                f"{number},Member {number},member{number}@example.org,2024-05-01,Home {number},"
                f"{number} Weir Lane,M15 5RF,{first}{check_digit(first)},G,,,2024-06-01"
            )
        text = "\n".join(lines)
        began = time.perf_counter()
        report = enlist(text, at=clock.now(), by="bench", progress=show)
        seconds = time.perf_counter() - began
        if not report.members == MeterStream.objects.count() == ROWS:
            raise SystemExit(f"not all was taken in: {report}")
        began = time.perf_counter()
        again = enlist(text, at=clock.now(), by="bench")
        again_seconds = time.perf_counter() - began
        if again.unchanged != ROWS:
            raise SystemExit(f"the same file again changed something: {again}")
        sys.stdout.write(f"\nBENCH enlist_10000 {seconds:.1f} s goal {GOAL_SECONDS}\n")
        sys.stdout.write(f"BENCH enlist_10000_again {again_seconds:.1f} s goal {GOAL_SECONDS}\n")


if __name__ == "__main__":
    main()

"""What the demo says on the terminal: numbered steps with a moving line, and plain tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

NARROW = 0.4
BAR_WIDTH = 24


class Teller:
    """Prints each step once with its time; on a terminal the step's line moves while it runs.

    Elsewhere (a log, CI) progress is printed as lines, at most one every five seconds.
    """

    def __init__(self, steps: int, out: TextIO | None = None) -> None:
        self.steps = steps
        self.out = out or sys.stdout
        self._is_terminal = self.out.isatty()
        self._number = 0
        self._title = ""
        self._shown_at = 0.0
        self._width = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run one numbered step; its line ends with the seconds it took."""
        self._number += 1
        self._title = f"[{self._number}/{self.steps}] {title}"
        self._shown_at = time.monotonic()
        began = time.monotonic()
        self._moving("...")
        yield
        self._line(f"{self._title}  ({time.monotonic() - began:.1f} s)")

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Show how far the step is."""
        filled = BAR_WIDTH * done // max(total, 1)
        self.say(f"{'#' * filled}{'.' * (BAR_WIDTH - filled)} {done:,}/{total:,} {what}")

    def say(self, text: str) -> None:
        """Show where the step is, in words."""
        now = time.monotonic()
        if self._is_terminal:
            if now - self._shown_at >= NARROW / 4:
                self._shown_at = now
                self._moving(text)
        elif now - self._shown_at >= 5:
            self._shown_at = now
            self._line(f"    {text}")

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._line(f"    {text}")

    def text(self, text: str = "") -> None:
        """Print a paragraph that stays."""
        self._line(text)

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        foot: Sequence[Sequence[str]] = (),
        *,
        words: int = 1,
    ) -> None:
        """Print a table: the first `words` columns left, the others right."""
        cells = [head, *rows, *foot]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

        def line(row: Sequence[str]) -> str:
            cells = (
                cell.ljust(width) if column < words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            return "  ".join(cells).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        parts = [line(head), rule, *map(line, rows)]
        parts += [rule, *map(line, foot)] if foot else []
        self._line("\n".join(parts))

    def _moving(self, text: str) -> None:
        if self._is_terminal:
            shown = f"{self._title}  {text}"[:110]
            self.out.write("\r" + shown.ljust(self._width))
            self._width = len(shown)
            self.out.flush()

    def _line(self, text: str) -> None:
        lead = "\r" + " " * self._width + "\r" if self._is_terminal and self._width else ""
        self._width = 0
        self.out.write(f"{lead}{text}\n")
        self.out.flush()

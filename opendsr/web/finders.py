"""Static files that come with Python packages: plotly.js out of the plotly wheel, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final

from django.contrib.staticfiles.finders import FileSystemFinder
from django.core.files.storage import FileSystemStorage

PREFIX: Final = "plotly"
WANTED: Final = "plotly.min.js"


class PlotlyFinder(FileSystemFinder):
    """Finds `plotly/plotly.min.js`; the wheel's other 5 MB of data are not for browsers."""

    def __init__(self, app_names: object = None, *args: Any, **kwargs: Any) -> None:
        root = str(files("plotly") / "package_data")
        self.locations = [(PREFIX, root)]
        storage = FileSystemStorage(location=root)
        storage.prefix = PREFIX  # type: ignore[attr-defined]
        self.storages = {root: storage}

    def check(self, **kwargs: Any) -> list[Any]:
        """Nothing of this is configured, so nothing can be wrong with it."""
        return []

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """The file when it is the one; an empty list otherwise."""
        return super().find(path, *args, **kwargs) if path == f"{PREFIX}/{WANTED}" else []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """The one file."""
        return [(WANTED, storage) for storage in self.storages.values()]

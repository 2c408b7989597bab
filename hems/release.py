"""`python -m hems.release --version 1.2.0 --out hems-1.2.0.zip`: the hub's software as one file.

The same sources always give the same bytes. `manage.py release_update` signs it and hands it to the VTN.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import hems
import oadr
from hems.manifest import UpdateRefused, parts_of

EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def build(out: Path, *, version: str) -> None:
    """Write `hems` and `oadr` as a zip that Python runs from. Raises UpdateRefused for no version."""
    parts_of(version)
    if not re.fullmatch(r"[0-9.]+", version):
        raise UpdateRefused(f"version {version!r:.40}: numbers with dots alone")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in (hems, oadr):
            root = Path(str(package.__file__)).parent
            for path in sorted(root.rglob("*")):
                if path.is_dir() or "__pycache__" in path.parts:
                    continue
                content = path.read_bytes()
                if path == Path(str(hems.__file__)):
                    written = f'VERSION = "{version}"'.encode()
                    content, count = re.subn(rb'^VERSION = "[^"]*"$', written, content, flags=re.MULTILINE)
                    if count != 1:
                        raise UpdateRefused("hems/__init__.py has no VERSION to set")
                entry = zipfile.ZipInfo(f"{root.name}/{path.relative_to(root)}", EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hems.release", description=__doc__)
    parser.add_argument("--version", required=True, help="such as 1.2.0")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args(arguments)
    try:
        build(options.out, version=options.version)
    except (UpdateRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{options.out}: {options.out.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

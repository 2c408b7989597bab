"""Photos of the work: checked, made smaller and made anew, so that nothing but the picture is kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFile, ImageOps

from opendsr.kernel.errors import Invalid

MOST_BYTES: Final = 10_000_000
MOST_PIXELS: Final = 50_000_000
FORMATS: Final = ("JPEG", "PNG", "WEBP")
LONGEST_SIDE: Final = 1600

_strictly = threading.Lock()


class PhotoUnusable(Invalid):
    """The file is no picture of a kind taken, or too large."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture made anew."""

    body: bytes
    width: int
    height: int


def made_anew(body: bytes, *, longest: int = LONGEST_SIDE, form: str = "JPEG") -> Picture:
    """The picture upright, at most `longest` pixels a side, without EXIF or anything else beside the pixels.

    Raises PhotoUnusable.
    """
    if len(body) > MOST_BYTES:
        raise PhotoUnusable(field="photo", problem="too_large")
    try:
        with _torn_ones_refused(), Image.open(io.BytesIO(body), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise PhotoUnusable(field="photo", problem="too_large")
            upright = ImageOps.exif_transpose(opened)
            upright.thumbnail((longest, longest))
            plain = upright.convert("RGB" if form == "JPEG" else "RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoUnusable(field="photo", problem="not_a_picture") from error
    bare = Image.new(plain.mode, plain.size)
    bare.paste(plain)
    written = io.BytesIO()
    bare.save(written, format=form, quality=82)
    return Picture(written.getvalue(), bare.width, bare.height)


@contextmanager
def _torn_ones_refused() -> Iterator[None]:
    """Refuse files cut short, also where WeasyPrint has told Pillow, for the whole process, to take them."""
    with _strictly:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before

"""Files as they come: compressed, cut short, from spreadsheets, of the wrong kind, of no kind."""

from __future__ import annotations

import gzip
import io
import random

import pytest

from metering.adapters.formats import Reject
from metering.adapters.reading import FileUnusable, Reading, open_reading

HEADER = "LCLid,tstp,energy_kWh"
ROWS = [
    f"MAC1,2013-01-{1 + slot // 48:02} {slot % 48 // 2:02}:{slot % 2 * 30:02}:00,0.{slot:03}"
    for slot in range(960)
]
TEXT = "\n".join([HEADER, *ROWS]) + "\n"


class Drip(io.BytesIO):
    """A file that gives a few bytes at a time, as sockets do."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 7, 7) if size != -1 else 7)


def read(data: bytes) -> tuple[int, list[Reject], Reading]:
    reading = open_reading(io.BytesIO(data), name="sample.csv", adapter=None)
    blocks = list(reading.blocks())
    rejects = [reject for block in blocks for reject in block.rejects] + reading.rejects
    return sum(len(block.line) for block in blocks), rejects, reading


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.rstrip("\n").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        b"\n\n" + TEXT.encode(),
        TEXT.replace("\n", "\n\n").encode(),
        b"sep=;\r\n" + TEXT.replace(",", ";").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        gzip.compress(TEXT[:5000].encode(), mtime=0) + gzip.compress(TEXT[5000:].encode(), mtime=0),
        gzip.compress(TEXT.encode(), mtime=0) + b"\0" * 512,
        "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in [HEADER, *ROWS]).encode(),
        TEXT.replace(",", " , ").encode(),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_the_same_rows_come_out_of_every_dress(data):
    count, rejects, reading = read(data)

    assert (count, rejects, reading.meters) == (960, [], ["MAC1"])


def test_the_hash_is_of_the_text_whether_compressed_or_not():
    plain, zipped = read(TEXT.encode())[2], read(gzip.compress(TEXT.encode(), mtime=0))[2]

    assert plain.content_sha256 == zipped.content_sha256
    assert plain.content_sha256 != read(TEXT.encode()[:-1])[2].content_sha256


def test_text_that_comes_in_drips_keeps_its_line_numbers():
    lines = TEXT.splitlines()
    lines[500] = "MAC1,2013-01-11 10:00:00,Null"
    reading = open_reading(Drip("\n".join(lines).encode()), name="drip", adapter=None)

    rejects = [reject for block in reading.blocks() for reject in block.rejects]

    assert [reject.line for reject in rejects] == [501]


def test_a_text_file_object_is_read_too():
    reading = open_reading(io.StringIO(TEXT), name="text", adapter=None)

    assert sum(len(block.line) for block in reading.blocks()) == 960


def test_single_byte_text_of_spreadsheets_is_read_as_windows_1252():
    text = "LCLid,tstp,energy_kWh\nCaf\xe9 \x80,2013-01-01 00:30:00,0.1\n"

    count, rejects, reading = read(text.encode("latin-1"))

    assert (count, rejects, reading.meters) == (1, [], ["Café €"])


def test_a_gzip_that_breaks_off_gives_what_came_before_and_never_half_a_number():
    whole = gzip.compress(TEXT.encode(), 1, mtime=0)

    for keep in random.Random(1).sample(range(400, len(whole) - 1), 25):
        reading = open_reading(io.BytesIO(whole[:keep]), name="cut.csv.gz", adapter="lcl_csv")
        blocks = list(reading.blocks())

        count = sum(len(block.line) for block in blocks)
        expected = [int(row.rpartition(".")[2]) for row in ROWS[:count]]
        assert [wh for block in blocks for wh in block.import_wh.tolist()] == expected
        assert [reject.code for reject in reading.rejects] == ["damaged_file"]
        assert reading.rejects[0].line == count + 2


def test_a_gzip_with_a_flipped_bit_is_reported_where_it_breaks():
    data = bytearray(gzip.compress(TEXT.encode(), mtime=0))
    data[-6] ^= 0x10  # in the checksum: every row is there, and none can be vouched for after the last line

    count, rejects, _ = read(bytes(data))

    assert (count, [reject.code for reject in rejects]) == (960, ["damaged_file"])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"\n\r\n  \n,,,\n", "nothing but blank lines"),
        (b"name,age\nAnn,7\n", "'name,age'"),
        (b"LCLid|tstp,energy_kWh\n", "LCLid|tstp"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (bytes(range(128, 256)) * 9 + b"\n", "not text"),
        (b"\x1f\x8b", "breaks off"),
        (b"\x1f\x8bnot gzip at all", "damaged"),
        (b"x" * 3_000_000, "no line end"),
        (gzip.compress(b"x" * 30_000_000, mtime=0), "no line end"),
        (TEXT.encode()[:40] + b"\n" + b"7" * 3_000_000, "no line end"),
    ],
    ids=lambda part: repr(part[:15]),
)
def test_a_file_of_which_nothing_can_be_read_says_what_was_found_and_what_was_expected(data, found):
    with pytest.raises(FileUnusable) as unusable:
        read(data)

    assert unusable.value.data["file"] == "sample.csv"
    assert found in str(unusable.value.data["found"])
    assert unusable.value.data["expected"]


def test_a_file_of_another_kind_than_named_says_which_columns_were_expected():
    with pytest.raises(FileUnusable) as unusable:
        open_reading(io.BytesIO(TEXT.encode()), name="x.csv", adapter="n3rgy_csv")

    assert "energyConsumption (kWh)" in str(unusable.value)


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_a_path_that_cannot_be_read_says_why(tmp_path, kind):
    path = tmp_path if kind == "folder" else tmp_path / "absent.csv"

    with pytest.raises(FileUnusable, match=r"No such file|Is a directory"):
        open_reading(path, name="x", adapter=None)


def test_a_header_alone_is_a_file_of_no_rows():
    count, rejects, _ = read(HEADER.encode())

    assert (count, rejects) == (0, [])


def test_progress_is_told_in_bytes(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(TEXT)
    seen: list[tuple[int, int | None]] = []

    reading = open_reading(
        path, name="x", adapter=None, progress=lambda done, total: seen.append((done, total))
    )
    list(reading.blocks())

    assert seen[-1] == (len(TEXT), len(TEXT))

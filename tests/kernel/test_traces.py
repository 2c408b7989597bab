"""Texts are found however they are written, and nothing is found where there is nothing."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import traces
from tests.factories import make_resident

CANARY = "Zoë O'Quagmire & Söhne"
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=6, max_size=40
).filter(lambda text: len(text.strip()) >= 6)


@pytest.mark.parametrize(
    "written",
    [
        CANARY.encode(),
        CANARY.upper().encode(),
        CANARY.lower().encode(),
        CANARY.encode("utf-16"),
        CANARY.encode("utf-16-be"),
        CANARY.encode("latin-1"),
        json.dumps({"name": CANARY}).encode(),
        json.dumps({"name": CANARY}, ensure_ascii=False).encode(),
        escape(CANARY).encode(),
        quote(CANARY).encode(),
        quote_plus(CANARY.upper()).encode(),
        b"\\x" + CANARY.encode().hex().encode(),
        CANARY.encode().hex().upper().encode(),
        base64.b64encode(json.dumps([CANARY]).encode()),
        base64.urlsafe_b64encode(b"x" + CANARY.encode()),
    ],
)
def test_each_way_of_writing_is_known(written):
    assert traces.find(b"before " + written + b" after", [CANARY])


@given(before=st.binary(max_size=20), text=TEXTS, after=st.binary(max_size=20))
def test_base64_and_hex_give_a_text_away_wherever_it_begins(before, text, after):
    told = before + text.encode() + after

    for written in (base64.b64encode(told), base64.urlsafe_b64encode(told), told.hex().encode()):
        assert text in {trace.text for trace in traces.find(b"x" + written, [text])}


@given(text=TEXTS, size=st.integers(1, 30), before=st.integers(0, 100))
def test_a_file_read_in_pieces_gives_away_what_lies_across_them(text, size, before):
    file = b"\x00" * before + text.encode() + b"\x00" * 5

    found = list(traces.find_in(io.BytesIO(file), [text], chunk=size))

    assert ("utf-8", before) in {(trace.form, trace.offset) for trace in found}
    assert len({trace.form for trace in found}) == len(found)


@given(data=st.binary(max_size=500))
def test_nothing_is_found_where_it_is_not(data):
    assert traces.find(data, ["a text that nobody draws"]) == []


def test_a_number_is_found_without_its_spaces():
    assert traces.find(b'"07700900123"', ["07700 900 123"])


def test_a_text_too_short_is_refused():
    with pytest.raises(traces.TooShort):
        traces.forms_of("Ann A")


class TestTheCommand:
    """`manage.py scan_for_identity` looks for what lies sealed in the database."""

    def test_a_file_that_names_somebody_fails_and_is_not_repeated(self, db, tmp_path, capsys):
        make_resident(CANARY, email="zoe.quagmire@example.org")
        log = tmp_path / "web.log"
        log.write_bytes(b"INFO signed in: zoe.quagmire@example.org\n")

        with pytest.raises(CommandError, match="1 traces of"):
            call_command("scan_for_identity", log)

        told = capsys.readouterr().out
        assert "web.log: members.User.email at byte 16 (utf-8)" in told
        assert "quagmire" not in told

    def test_a_file_that_names_nobody_passes(self, db, tmp_path, capsys):
        make_resident(CANARY, email="zoe.quagmire@example.org")
        log = tmp_path / "web.log"
        log.write_bytes(b"INFO signed in: user 7\n" * 1000)

        call_command("scan_for_identity", log)

        assert "None of" in capsys.readouterr().out

    def test_nothing_to_look_for_and_nothing_to_look_in_are_said(self, db, tmp_path):
        with pytest.raises(CommandError, match="Nothing lies sealed"):
            call_command("scan_for_identity", tmp_path / "none")
        make_resident(CANARY)
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("scan_for_identity", tmp_path / "none")

"""Standard 18: every field where the guides put it, totals that agree, and nothing Bacs would refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.bacs import BacsInvalid, Credit, Originator, bacs_text, julian, read, write

COOP = Originator("123456", "Calder Bank Energy", "200000", "55779911")
ALICE = Credit("401234", "01234567", "Alice Ash", 1_234, "DSR 00001 000001")
PROCESSING, CREATED = date(2026, 12, 3), date(2026, 12, 1)

digits = st.text("0123456789", min_size=1)
names = st.text(min_size=1, max_size=40).filter(lambda text: bool(bacs_text(text)))
payments = st.builds(
    Credit,
    sort_code=st.text("0123456789", min_size=6, max_size=6),
    account_number=st.text("0123456789", min_size=8, max_size=8),
    name=names,
    amount_pence=st.integers(1, 10**8),
    reference=names,
)


def written(*credits, **options):
    return write(COOP, credits or (ALICE,), processing=PROCESSING, created=CREATED, serial=42, **options)


def test_the_records_of_a_file_to_the_character():
    assert written().split("\r\n") == [
        "VOL1000042 " + " " * 20 + " " * 6 + "    123456    " + " " * 28 + "1",
        "HDR1A123456S  1123456"
        + "000042"
        + "00010001"
        + " " * 6
        + " 26335 26335"
        + " "
        + "000000"
        + " " * 20,
        "HDR2F0200000106" + " " * 35 + "00" + " " * 28,
        "UHL1 26337999999    00" + "000000" + "4 MULTI  " + "001" + " " * 40,
        "4012340123456709920000055779911    00000001234"
        "CALDER BANK ENERGYDSR 00001 000001  ALICE ASH          26337",
        "2000005577991101720000055779911    00000001234"
        "CALDER BANK ENERGYCONTRA            CALDER BANK ENERGY 26337",
        "EOF1A123456S  1123456"
        + "000042"
        + "00010001"
        + " " * 6
        + " 26335 26335"
        + " "
        + "000000"
        + " " * 20,
        "EOF2F0200000106" + " " * 35 + "00" + " " * 28,
        "UTL1" + "0000000001234" + "0000000001234" + "0000001" + "0000001" + " " * 36,
        "",
    ]


@given(st.lists(payments, min_size=1, max_size=20))
def test_a_file_says_what_was_written(credits):
    found = read(written(*credits))

    assert [(each.sort_code, each.account_number, each.amount_pence) for each in found.credits] == [
        (each.sort_code, each.account_number, each.amount_pence) for each in credits
    ]
    assert [each.name for each in found.credits] == [bacs_text(each.name) for each in credits]
    total = sum(each.amount_pence for each in credits)
    assert (found.contra_pence, found.credit_pence, found.debit_pence) == (total, total, total)
    assert (found.credit_count, found.debit_count) == (len(credits), 1)
    assert (found.service_user_number, found.processing_date) == ("123456", PROCESSING)


@given(st.lists(payments, min_size=1, max_size=5))
def test_every_record_has_its_width_and_characters(credits):
    for record in written(*credits).split("\r\n")[:-1]:
        assert len(record) in (80, 106)
        assert record.isascii()
        assert record == record.upper()


@pytest.mark.parametrize(("day", "text"), [(date(2027, 1, 1), " 27001"), (date(2028, 12, 31), " 28366")])
def test_a_day_is_year_and_number(day, text):
    assert julian(day) == text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sort_code": "40-12-34"}, "sort_code"),
        ({"sort_code": "٤٠١٢٣٤"}, "sort_code"),
        ({"account_number": "1234567"}, "account_number"),
        ({"name": "爱丽丝"}, "name"),
        ({"amount_pence": 0}, "amount_pence"),
        ({"amount_pence": -1}, "amount_pence"),
        ({"amount_pence": 10**11}, "amount_pence"),
        ({"reference": "é"}, "reference"),
    ],
)
def test_what_bacs_would_refuse_is_named(change, field):
    with pytest.raises(BacsInvalid) as refused:
        written(ALICE, replace(ALICE, **change))

    assert refused.value.data["field"] == field


def test_a_file_pays_somebody_from_a_known_service_user():
    with pytest.raises(BacsInvalid):
        write(COOP, (), processing=PROCESSING, created=CREATED, serial=1)
    with pytest.raises(BacsInvalid):
        write(
            replace(COOP, service_user_number="12"),
            (ALICE,),
            processing=PROCESSING,
            created=CREATED,
            serial=1,
        )


def test_a_record_of_the_wrong_width_is_noticed():
    with pytest.raises(BacsInvalid):
        read(written().replace("ALICE ASH ", "ALICE ASH"))

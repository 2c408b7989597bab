from __future__ import annotations

import pickle

import pytest

from opendsr.kernel.errors import DomainError, Invalid, NotAllowed, NotFound


class ConsentMissing(DomainError):
    member: str


class DSRUnitUnknown(NotFound):
    pass


def test_an_error_carries_data_and_says_it():
    error = ConsentMissing(member="M-0003", purpose="dispatch")

    assert str(error) == "consent missing: member=M-0003, purpose=dispatch"
    assert error.code == "consent_missing"
    assert error.data == {"member": "M-0003", "purpose": "dispatch"}
    assert error.member == "M-0003"
    assert error.status == 409


def test_an_error_without_data_is_its_name():
    assert str(ConsentMissing()) == "consent missing"


def test_data_that_was_not_given_is_no_attribute():
    with pytest.raises(AttributeError, match="ConsentMissing carries no 'member'"):
        _ = ConsentMissing().member


def test_codes_split_at_words_and_statuses_are_inherited():
    assert DSRUnitUnknown.code == "dsr_unit_unknown"
    assert (DSRUnitUnknown.status, NotAllowed.status, Invalid.status) == (404, 403, 422)


def test_an_error_survives_pickling():
    copy = pickle.loads(pickle.dumps(ConsentMissing(member="M-0003")))  # noqa: S301

    assert (type(copy), copy.data) == (ConsentMissing, {"member": "M-0003"})

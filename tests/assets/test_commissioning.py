"""Commissioning: the code opens once, in time and only with its own hub; guesses are counted."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from assets import commissioning, installing
from assets.enrolment_code import ALPHABET, code_sha256, is_code, new_code
from assets.models import Hub
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.models import AuditEntry
from tests.factories import JOINED_AT, make_home, make_hub, new_serial, signing_request
from tests.racing import at_once

pytestmark = pytest.mark.django_db
SOON = JOINED_AT + timedelta(hours=2)
WRONG = "0000-0000-0000-0000-0000"


@pytest.fixture
def planned(db):
    return installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)


def commission(planned, *, code=None, csr=None, at=SOON, serial=None) -> commissioning.Commissioned:
    return commissioning.commission_hub(
        serial=serial or planned.hub.serial,
        enrolment_code=code or planned.enrolment_code,
        csr_pem=csr or signing_request()[1],
        at=at,
    )


def test_the_hub_gets_an_identity_for_its_own_key(planned):
    key_pem, csr_pem = signing_request()

    done = commission(planned, csr=csr_pem)

    certificate = x509.load_pem_x509_certificate(done.certificate_pem.encode())
    key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(done.ca_pem.encode()))
    hub = Hub.objects.get(pk=planned.hub.pk)
    assert (hub.state, hub.ven_id, hub.commissioned_at) == (Hub.State.COMMISSIONED, done.ven_id, SOON)
    assert hub.enrolment_code_sha256 == ""
    assert AuditEntry.objects.filter(verb="hub.commissioned", target=f"hub:{hub.pk}").count() == 1


def test_a_request_may_come_as_bytes(planned):
    assert commission(planned, csr=signing_request()[1].encode()).ven_id


def test_the_code_works_once(planned):
    commission(planned)

    with pytest.raises(commissioning.EnrolmentRefused):
        commission(planned)


def test_the_code_expires(planned):
    with pytest.raises(commissioning.EnrolmentCodeExpired):
        commission(planned, at=JOINED_AT + timedelta(hours=24))

    assert commission(planned, at=JOINED_AT + timedelta(hours=24) - timedelta(seconds=1)).ven_id


def test_a_guess_is_counted_and_five_end_it(planned):
    for _ in range(5):
        with pytest.raises(commissioning.EnrolmentRefused):
            commission(planned, code=WRONG)

    with pytest.raises(commissioning.EnrolmentRefused):
        commission(planned)
    planned.hub.refresh_from_db()
    assert (planned.hub.enrolment_failures, planned.hub.state) == (5, Hub.State.PLANNED)

    again = installing.reissue_code(hub=planned.hub, at=SOON)
    assert commission(again).ven_id


def test_unknown_wrong_and_spent_sound_the_same(planned):
    other = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)
    commission(other)
    answers = []
    for serial, code in (("HUB-NONE", WRONG), (planned.hub.serial, WRONG), (other.hub.serial, WRONG)):
        with pytest.raises(commissioning.EnrolmentRefused) as refused:
            commission(planned, serial=serial, code=code)
        answers.append((refused.value.status, refused.value.code, refused.value.data == {"serial": serial}))

    assert set(answers) == {(403, "enrolment_refused", True)}


def test_anothers_code_does_not_open(planned):
    other = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)

    with pytest.raises(commissioning.EnrolmentRefused):
        commission(planned, code=other.enrolment_code)


@pytest.mark.parametrize(
    "csr", ["", "not a request", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", b"\xff\xfe"]
)
def test_a_bad_request_is_refused_and_the_code_is_not_spent(planned, csr):
    with pytest.raises(DomainError) as refused:
        commissioning.commission_hub(
            serial=planned.hub.serial, enrolment_code=planned.enrolment_code, csr_pem=csr, at=SOON
        )

    assert 400 <= refused.value.status < 500
    assert commission(planned).ven_id


@pytest.mark.parametrize(
    ("serial", "code"), [("HUB\x00", "X"), ("x" * 500, "X"), ("HUB", "\x00"), ("HUB", "\ud800"), ("", "")]
)
def test_hostile_text_is_refused_like_any_other(db, serial, code):
    with pytest.raises(DomainError) as refused:
        commissioning.commission_hub(serial=serial, enrolment_code=code, csr_pem="", at=SOON)

    assert 400 <= refused.value.status < 500


def test_a_home_has_one_commissioned_hub_and_the_code_is_not_spent(planned):
    make_hub(planned.hub.home, through_vtn=False)

    with pytest.raises(commissioning.HomeHasHub):
        commission(planned)

    planned.hub.refresh_from_db()
    assert planned.hub.enrolment_code_sha256 != ""
    assert not AuditEntry.objects.filter(verb="hub.commissioned").exists()


@pytest.mark.django_db(transaction=True)
def test_a_code_used_twice_at_once_makes_one_ven():
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)

    done = at_once(lambda: commission(planned), lambda: commission(planned))

    assert sorted(type(each).__name__ for each in done) == ["Commissioned", "EnrolmentRefused"]


@pytest.mark.django_db(transaction=True)
def test_commissioning_refuses_to_be_part_of_something_that_may_be_undone():
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        commission(planned, code=WRONG)


@pytest.mark.django_db(transaction=True)
def test_a_guess_stays_counted_although_it_raises():
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=JOINED_AT)

    with pytest.raises(commissioning.EnrolmentRefused):
        commission(planned, code=WRONG)

    planned.hub.refresh_from_db()
    assert planned.hub.enrolment_failures == 1


def test_a_code_is_a_hundred_bits_without_lookalikes():
    codes = {new_code() for _ in range(200)}

    assert len(codes) == 200
    assert all(re.fullmatch(rf"([{ALPHABET}]{{4}}-){{4}}[{ALPHABET}]{{4}}", code) for code in codes)


CARELESS = {"0": "0oO", "1": "1iIlL", "-": "- "}


@given(st.from_regex(rf"([{ALPHABET}]{{4}}-){{4}}[{ALPHABET}]{{4}}", fullmatch=True), st.data())
def test_a_code_may_be_typed_carelessly(code, data):
    ways = [CARELESS.get(char, char + char.lower()) for char in code]
    typed = "".join(data.draw(st.tuples(*map(st.sampled_from, ways))))

    assert is_code(typed, code_sha256(code))
    assert not is_code(typed[:-1], code_sha256(code))


def test_a_planned_hub_comes_in_by_the_standard_door_as_well(client: Client) -> None:
    """RFC 7030's simpleenroll takes the hub's serial and the code that staff gave the installer."""
    cache.clear()  # no failed tries of others
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=clock.now())
    csr = x509.load_pem_x509_csr(signing_request()[1].encode())
    words = base64.b64encode(f"{planned.hub.serial}:{planned.enrolment_code}".encode()).decode()

    response = client.post(
        "/.well-known/est/simpleenroll",
        base64.b64encode(csr.public_bytes(serialization.Encoding.DER)),
        content_type="application/pkcs10",
        headers={"Authorization": f"Basic {words}"},
    )

    assert response.status_code == 200, response.content
    hub = Hub.objects.get(serial=planned.hub.serial)
    assert (hub.state, bool(hub.ven_id)) == ("commissioned", True)

"""What the database itself refuses, whoever writes: each rule by the name of its constraint."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction

from members.models import (
    Consent,
    ConsentText,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    StandingOptOut,
    User,
)
from tests.factories import JOINED_AT, make_member, new_mpan

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=30)
EARLIER = JOINED_AT - timedelta(days=30)


def refused_by(write) -> str:
    """The name of the constraint that refuses the write."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        write()
    return refused.value.__cause__.diag.constraint_name or str(refused.value)


def home(**changes) -> Home:
    return Home(
        **{"name": "1 Mill Lane", "postcode": "M15 5RF", "mpan": new_mpan(), "gsp_group": "G", **changes}
    )


def consent(alice, **changes) -> Consent:
    text = ConsentText.objects.get(purpose="advice")
    return Consent(
        **{
            "occupancy": alice.occupancy,
            "member": alice.member,
            "text": text,
            "purpose": "advice",
            "granularity": "daily",
            "channel": "web",
            "starts_at": JOINED_AT,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"postcode": "m15 5rf"}, "home_postcode_is_british"),
        ({"postcode": "M155RF"}, "home_postcode_is_british"),
        ({"gsp_group": "_G"}, "home_gsp_group_is_a_letter"),
        ({"gsp_group": "I"}, "home_gsp_group_is_a_letter"),
    ],
)
def test_a_home_is_written_one_way(changes, name):
    assert refused_by(home(**changes).save) == name


@pytest.mark.parametrize("mpan", ["123", "12345678901ab"])
def test_an_mpan_has_13_digits_before_it_is_sealed_and_nobody_can_look(mpan):
    with pytest.raises(ValueError, match="not in its form"):
        home(mpan=mpan).save()


def test_a_meter_point_has_one_home():
    first = home()
    first.save()

    assert refused_by(home(mpan=first.mpan).save) == "home_one_a_mpan"


@pytest.mark.parametrize("number", ["M-1", "M-000001", "17", "m-00001", "M-00001 "])
def test_a_membership_number_has_one_form(number):
    member = Member(number=number, household=make_member().household, full_name="X", joined_at=JOINED_AT)

    assert refused_by(member.save) == "member_number_in_its_form"


def test_a_member_leaves_after_joining(alice):
    assert (
        refused_by(lambda: Member.objects.filter(pk=alice.member.pk).update(left_at=JOINED_AT))
        == "member_leaves_after_joining"
    )


def test_an_address_is_one_account_s_whatever_its_case():
    User.objects.create_user("eve@example.org")

    assert refused_by(User(email="Eve@Example.ORG").save) == "user_one_an_email"


def test_no_second_copy_of_an_address_is_kept(alice):
    copy = EmailAddress(user=User.objects.create_user("eve@example.org"), email="eve@example.org")

    assert refused_by(copy.save) == "account_emailaddress_stays_empty"


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_refused"),
    [
        (EARLIER, None, True),
        (EARLIER, JOINED_AT, False),
        (EARLIER, JOINED_AT + timedelta(seconds=1), True),
        (LATER, None, True),
    ],
)
def test_two_households_never_share_a_home(alice, starts_at, ends_at, is_refused):
    other = Household.objects.create(name="Others")
    stay = Occupancy(home=alice.home, household=other, starts_at=starts_at, ends_at=ends_at)

    if is_refused:
        assert refused_by(stay.save) == "occupancy_one_household_a_home"
    else:
        stay.save()


def test_a_stay_runs_forward(alice):
    backwards = Occupancy(home=alice.home, household=alice.household, starts_at=LATER, ends_at=LATER)

    assert refused_by(backwards.save) == "occupancy_runs_forward"


def test_one_stream_of_a_name_at_a_time(alice):
    assert (
        refused_by(MeterStream(occupancy=alice.occupancy, starts_at=LATER).save)
        == "meterstream_one_at_a_time"
    )
    MeterStream(occupancy=alice.occupancy, starts_at=EARLIER, ends_at=JOINED_AT).save()


def test_one_consent_to_a_purpose_and_source_at_a_time(alice):
    consent(alice).save()

    assert refused_by(consent(alice, starts_at=LATER).save) == "consent_one_live_per_purpose"
    assert refused_by(consent(alice, starts_at=EARLIER).save) == "consent_one_live_per_purpose"
    consent(alice, starts_at=LATER, source="supplier").save()
    consent(alice, starts_at=EARLIER, ends_at=JOINED_AT).save()
    consent(alice, starts_at=LATER, ends_at=LATER).save()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ends_at": EARLIER}, "consent_runs_forward"),
        ({"granularity": "none"}, "consent_granularity_fits_purpose"),
        ({"purpose": "flexibility"}, "consent_granularity_fits_purpose"),
    ],
)
def test_a_consent_makes_sense(alice, changes, name):
    assert refused_by(consent(alice, **changes).save) == name


@pytest.mark.parametrize(
    "change",
    [
        {"granularity": "live"},
        {"starts_at": EARLIER},
        {"source": "dcc"},
        {"ends_at": None},
        {"ends_at": LATER + timedelta(days=1)},
    ],
)
def test_a_consent_is_never_rewritten_or_reopened(alice, change):
    row = consent(alice, ends_at=LATER)
    row.save()

    rows = Consent.objects.filter(pk=row.pk)
    assert refused_by(lambda: rows.update(**change)) == "consent_only_ends"
    rows.update(ends_at=LATER - timedelta(days=1), end_reason="admin")


def test_a_consent_is_never_deleted(alice):
    assert refused_by(lambda: Consent.objects.all()._raw_delete("default")) == "consent_only_ends"


def test_published_words_are_never_edited_or_deleted(alice):
    texts = ConsentText.objects.filter(purpose="flexibility")

    assert "append-only" in refused_by(lambda: texts.update(body="Anything goes."))
    assert "append-only" in refused_by(lambda: texts._raw_delete("default"))


def test_the_hash_is_that_of_the_words():
    text = ConsentText(
        purpose="advice", version=9, body="Words.", body_sha256="0" * 64, published_at=JOINED_AT
    )

    assert refused_by(text.save) == "consenttext_hash_is_of_the_body"


def test_an_opt_out_never_ends_before_it_starts(alice):
    assert (
        refused_by(StandingOptOut(occupancy=alice.occupancy, starts_at=LATER, ends_at=EARLIER).save)
        == "standingoptout_runs_forward"
    )

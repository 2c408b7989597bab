"""Consent: published words, dated agreement, withdrawal by anybody of the household, and what is refused."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from members import consenting, joining, moving, queries
from members.entry import InvalidField
from members.models import Consent, ConsentText, EndReason, Purpose
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.factories import JOINED_AT, make_consent, make_consent_texts, make_resident

pytestmark = pytest.mark.django_db
LATER = JOINED_AT + timedelta(days=30)


def consent_of(resident, purpose=Purpose.FLEXIBILITY) -> Consent:
    return Consent.objects.get(occupancy=resident.occupancy, purpose=purpose)


def test_words_are_published_in_versions_with_their_hash():
    first = consenting.publish_text(purpose="advice", body="Use my readings.\n", at=JOINED_AT)
    second = consenting.publish_text(purpose="advice", body="Use my readings kindly.", at=LATER)

    assert (first.version, second.version) == (1, 2)
    assert second.body_sha256 == hashlib.sha256(b"Use my readings kindly.").hexdigest()


def test_the_same_words_again_are_no_new_version():
    first = consenting.publish_text(purpose="advice", body="Use my readings.", at=JOINED_AT)

    again = consenting.publish_text(purpose="advice", body="  Use my readings.  \r\n", at=LATER)

    assert again.pk == first.pk
    assert again.published_at == JOINED_AT


@pytest.mark.parametrize("body", ["", " \n ", "a\x00b"])
def test_no_words_are_no_text(body):
    with pytest.raises(InvalidField):
        consenting.publish_text(purpose="advice", body=body, at=JOINED_AT)


def test_consent_is_to_the_words_published_by_then(alice):
    consenting.publish_text(purpose="advice", body="Later words.", at=LATER)

    consent = make_consent(alice, Purpose.ADVICE, at=LATER)
    early = ConsentText.objects.get(purpose="advice", version=1)

    assert early.body != "Later words."
    assert consent.text.version >= 2


def test_without_words_there_is_nothing_to_agree_to():
    resident = make_resident(consents=())

    with pytest.raises(consenting.NoConsentText):
        consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose="flexibility",
            granularity="none",
            channel="web",
            at=JOINED_AT,
        )


def test_a_second_consent_to_the_same_purpose_and_source_is_refused(alice):
    with pytest.raises(consenting.ConsentAlreadyLive) as refused:
        make_consent(alice, Purpose.FLEXIBILITY, at=LATER)

    assert refused.value.data == {
        "occupancy_id": str(alice.occupancy.pk),
        "purpose": "flexibility",
        "source": "cad",
    }


def test_one_may_consent_again_from_the_moment_of_withdrawal(alice):
    consent = consent_of(alice)
    consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=LATER)

    again = make_consent(alice, Purpose.FLEXIBILITY, at=LATER)

    assert again.starts_at == LATER
    assert queries.consenting_occupancies("flexibility", LATER) == {alice.occupancy.pk}


@pytest.mark.parametrize(
    ("field", "value"),
    [("purpose", "spying"), ("granularity", "yearly"), ("channel", "pigeon"), ("source", "neighbour")],
)
def test_a_word_that_is_no_choice_is_refused(alice, field, value):
    given = {"purpose": "advice", "granularity": "daily", "channel": "web", "source": "cad", field: value}

    with pytest.raises(InvalidField) as refused:
        consenting.give_consent(member=alice.member, occupancy=alice.occupancy, at=LATER, **given)

    assert refused.value.data == {"field": field, "problem": "not_a_choice"}


@pytest.mark.parametrize(("purpose", "granularity"), [("flexibility", "half_hourly"), ("settlement", "none")])
def test_the_granularity_fits_the_purpose(purpose, granularity):
    resident = make_resident(consents=())
    make_consent_texts()

    with pytest.raises(InvalidField):
        consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose=purpose,
            granularity=granularity,
            channel="web",
            at=JOINED_AT,
        )


def test_a_neighbour_cannot_consent_for_alice(alice, carol):
    with pytest.raises(consenting.NotInHousehold):
        consenting.give_consent(
            member=carol.member,
            occupancy=alice.occupancy,
            purpose="advice",
            granularity="daily",
            channel="web",
            at=LATER,
        )


def test_nobody_consents_for_a_home_they_have_left(alice):
    moving.move_out(occupancy=alice.occupancy, at=LATER)

    with pytest.raises(joining.NobodyLivesThere):
        make_consent(alice, Purpose.ADVICE, at=LATER)


def test_withdrawal_ends_it_tells_of_it_and_leaves_the_past_standing(alice):
    consent = consent_of(alice)

    ended = consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=LATER)

    assert (ended.ends_at, ended.end_reason) == (LATER, EndReason.REQUESTED)
    assert queries.consenting_occupancies("flexibility", LATER - timedelta(seconds=1)) == {alice.occupancy.pk}
    assert queries.consenting_occupancies("flexibility", LATER) == set()
    fact = OutboxFact.objects.get(topic="members.consent.withdrawn")
    assert fact.payload["consent_id"] == str(consent.pk)
    assert fact.payload["occupancy_id"] == str(alice.occupancy.pk)
    trail = AuditEntry.objects.get(target=f"consent:{consent.pk}", verb="consent.ended")
    assert trail.actor == f"member:{alice.member.number}"


def test_withdrawing_twice_changes_and_tells_nothing_more(alice):
    consent = consent_of(alice)
    consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=LATER)

    again = consenting.withdraw_consent(
        consent_id=consent.pk, member=alice.member, at=LATER + timedelta(days=1), reason="other"
    )

    assert (again.ends_at, again.end_reason) == (LATER, EndReason.REQUESTED)
    assert OutboxFact.objects.filter(topic="members.consent.withdrawn").count() == 1


def test_anybody_of_the_household_may_withdraw(alice, bob):
    ended = consenting.withdraw_consent(consent_id=consent_of(alice).pk, member=bob, at=LATER)

    assert ended.ends_at == LATER


def test_a_neighbour_cannot_withdraw_and_learns_nothing(alice, carol):
    consent = consent_of(alice)

    with pytest.raises(consenting.ConsentNotFound):
        consenting.withdraw_consent(consent_id=consent.pk, member=carol.member, at=LATER)

    consent.refresh_from_db()
    assert consent.ends_at is None


def test_a_consent_withdrawn_before_it_began_was_never_in_force(alice):
    consent = consent_of(alice)

    consenting.withdraw_consent(
        consent_id=consent.pk, member=alice.member, at=JOINED_AT, reason=EndReason.REQUESTED
    )

    assert queries.consenting_occupancies("flexibility", JOINED_AT) == set()


def test_a_paper_consent_recorded_after_the_move_ends_with_the_stay(alice):
    moving.move_out(occupancy=alice.occupancy, at=LATER)

    consent = make_consent(alice, Purpose.ADVICE, at=LATER - timedelta(days=1))

    assert (consent.ends_at, consent.end_reason) == (LATER, EndReason.MOVED_HOUSE)

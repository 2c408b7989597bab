"""When a household is left out, taken back, and consents withdrawn: on the page, with effect at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from django.test import Client
from django.urls import reverse

import members.queries
from members.models import Consent, Purpose, StandingOptOut
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.factories import Resident, make_home, make_resident
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = '<script>alert("x")</script>'
Visit = Callable[[object], Client]


@pytest.fixture
def resident(coop: object) -> Resident:
    clock.configure(AT, speed=0)
    return make_resident("Alice Archer", at=AT - timedelta(days=40), email="alice@example.org")


@pytest.fixture
def alice(resident: Resident, visit: Visit) -> Client:
    return visit(resident.user)


def is_out(resident: Resident, starts_at: datetime, hours: int = 2) -> bool:
    interval = Interval(starts_at, starts_at + hours * HOUR)
    return resident.occupancy.pk in members.queries.standing_opt_outs(interval)


def press(client: Client, resident: Resident, **fields: object):
    return client.post(reverse("preferences"), {"home": str(resident.occupancy.pk), **fields})


def test_pause_all_and_take_it_back(alice, resident):
    page = seen(alice.get(reverse("preferences")))
    assert page.faults() == []
    assert "You are asked to every event" in page.text()
    assert press(alice, resident, reason=HOSTILE).status_code == 302
    assert is_out(resident, AT + 1000 * HOUR)
    page = alice.get(reverse("preferences"))
    assert seen(page).faults() == []
    assert HOSTILE not in page.content.decode()
    assert "at all times" in seen(page).text()
    [opt_out] = StandingOptOut.objects.all()
    alice.post(reverse("take_back_opt_out", args=[opt_out.pk]))
    alice.post(reverse("take_back_opt_out", args=[opt_out.pk]))
    assert not is_out(resident, AT + HOUR)


def test_a_form_sent_twice_is_one_wish_until_it_is_taken_back(alice, resident):
    supper = {"days": ["1"], "from_time": "17:00", "to_time": "19:00", "reason": "dinner"}
    for _ in range(2):
        assert press(alice, resident, **supper).status_code == 302
        clock.configure(clock.now() + timedelta(minutes=1), speed=0)
    [opt_out] = StandingOptOut.objects.all()
    press(alice, resident, **supper | {"reason": "choir"})
    assert StandingOptOut.objects.count() == 2
    alice.post(reverse("take_back_opt_out", args=[opt_out.pk]))
    press(alice, resident, **supper)
    assert StandingOptOut.objects.count() == 3


def test_supper_time_on_weekdays(alice, resident):
    press(alice, resident, days=["1", "2", "4", "8", "16"], from_time="17:00", to_time="19:00")
    tuesday = datetime(2026, 4, 7, 16, tzinfo=UTC)  # five o'clock in London
    assert is_out(resident, tuesday)
    assert not is_out(resident, tuesday + 2 * HOUR)
    assert not is_out(resident, tuesday + 4 * 24 * HOUR)
    text = seen(alice.get(reverse("preferences"))).text()
    assert "Monday, Tuesday, Wednesday, Thursday, Friday; 17:00 to 19:00" in text


def test_a_holiday_has_its_last_day_included(alice, resident):
    press(alice, resident, first_day="2026-04-10", last_day="2026-04-12")
    assert not is_out(resident, datetime(2026, 4, 9, 20, tzinfo=UTC))
    assert is_out(resident, datetime(2026, 4, 12, 21, tzinfo=UTC), hours=1)
    assert not is_out(resident, datetime(2026, 4, 12, 23, tzinfo=UTC))
    text = seen(alice.get(reverse("preferences"))).text()
    assert "10 April 2026 to come" in text
    assert "12 April 2026, included" in text


def test_christmas_each_year(alice, resident):
    press(alice, resident, season_from="12-20", season_to="01-05")
    for day, out in (
        ("2026-12-19", False),
        ("2026-12-20", True),
        ("2027-01-05", True),
        ("2027-01-06", False),
    ):
        noon = datetime.combine(datetime.fromisoformat(day), time(12), UTC)
        assert is_out(resident, noon) is out, day


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"first_day": "2026-04-12", "last_day": "2026-04-10"}, "before the first"),
        ({"last_day": "2026-04-01"}, "over already"),
        ({"first_day": "soon"}, "valid date"),
        ({"last_day": "9999-12-31"}, "from the year 2000 to 2099"),
        ({"first_day": "0001-01-01"}, "from the year 2000 to 2099"),
        ({"from_time": "17:00"}, "both ends"),
        ({"from_time": "17:00", "to_time": "17:00"}, "not the same"),
        ({"season_from": "12-20"}, "both days"),
        ({"season_from": "02-30", "season_to": "03-01"}, "Write month and day"),
        ({"days": ["128"]}, "valid choice"),
        ({"days": ["x"]}, "valid"),
        ({"reason": "\x00"}, "Null"),
        ({"reason": "a\u202eb"}, "A word for yourself: It holds characters that cannot be seen"),
        ({"reason": "x" * 121}, "at most 120"),
        ({"home": "nonsense"}, "The form is incomplete"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(alice, resident, fields, words):
    page = alice.post(reverse("preferences"), {"home": str(resident.occupancy.pk), **fields})
    assert page.status_code == 422
    assert words in seen(page).text()
    assert not StandingOptOut.objects.exists()


def test_a_consent_is_withdrawn_in_two_presses_and_holds_no_more(alice, resident):
    consent = Consent.objects.get(purpose=Purpose.FLEXIBILITY)
    assert members.queries.consenting_occupancies(Purpose.FLEXIBILITY, AT) == {resident.occupancy.pk}
    page = seen(alice.get(reverse("preferences")))
    assert "Control my assets in campaigns" in page.text()
    page = alice.post(reverse("withdraw_consent", args=[consent.pk]), follow=True)
    assert "Withdrawn." in seen(page).text()
    assert members.queries.consenting_occupancies(Purpose.FLEXIBILITY, AT) == set()
    assert alice.post(reverse("withdraw_consent", args=[consent.pk])).status_code == 302


def test_somebody_elses_are_not_there(alice, resident, visit):
    carol = visit(make_resident("Carol Cope", at=AT - timedelta(days=9), email="carol@example.org").user)
    press(alice, resident)
    [opt_out] = StandingOptOut.objects.all()
    consent = Consent.objects.filter(occupancy=resident.occupancy).first()
    assert carol.post(reverse("take_back_opt_out", args=[opt_out.pk])).status_code == 404
    assert carol.post(reverse("withdraw_consent", args=[consent.pk])).status_code == 404
    assert press(carol, resident).status_code == 422  # the other household's home is none of hers
    assert StandingOptOut.objects.get().ends_at is None


def test_two_homes_are_chosen_between(resident, alice):
    from members import joining

    other = joining.move_in(household=resident.member.household, home=make_home(name="The cottage"), at=AT)
    assert "The cottage" in alice.get(reverse("preferences")).content.decode()
    alice.post(reverse("preferences"), {"home": str(other.pk)})
    assert StandingOptOut.objects.get().occupancy == other

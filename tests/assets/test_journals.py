"""What hubs tell and what the site sees: counts, spells, silences; whatever a hub may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets import journals
from assets.models import Asset, Hub
from assets.registry_models import HubSpell, RelayCount, UpSpell
from tests.factories import make_home, make_hub
from vtn.models import Ven

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
WALL = datetime(2026, 11, 29, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def kit():
    return make_hub(make_home(), at=AT - timedelta(days=60))


def tell(kit, reported: dict, *, at: datetime = AT) -> None:
    journals.note_report(hub=Hub.objects.get(pk=kit.hub.pk), reported=reported, at=at)


def heard(kit, wall: datetime) -> None:
    Ven.objects.filter(ven_id=kit.ven_id).update(last_seen_wall_at=wall)


def test_versions_and_counts_are_kept(kit):
    name = kit.assets[0].resource_id
    since = AT - timedelta(days=30)
    tell(
        kit,
        {
            "software": {"hub": "1.4.0", "controllers": {name: {"make": "tasmota", "version": "14.2"}}},
            "counts": {"since": since.isoformat(), "cycles": {name: 120, "esa-unknown": 4}},
        },
    )
    assert Hub.objects.get().firmware == "1.4.0"
    assert Asset.objects.get().firmware == "14.2"
    count = RelayCount.objects.get()
    assert (count.cycles, count.counted_from_at, count.told_at) == (120, since, AT)
    tell(kit, {"counts": {"cycles": {name: 7}}}, at=AT + MINUTE)
    assert RelayCount.objects.get().cycles == 127


def test_spells_are_told_once_and_end_when_they_end(kit):
    entry = {"cause": "no_lan", "starts_at": (AT - 60 * MINUTE).isoformat(), "ends_at": None}
    tell(kit, {"journal": [entry]})
    tell(kit, {"journal": [entry]})
    assert [each.ends_at for each in HubSpell.objects.all()] == [None]
    tell(kit, {"journal": [{**entry, "ends_at": (AT - 5 * MINUTE).isoformat()}, entry["cause"]]})
    (spell,) = journals.spells_between(AT - 60 * MINUTE, AT)
    assert (spell.home_id, spell.cause) == (kit.hub.home_id, "no_lan")
    assert (spell.starts_at, spell.ends_at) == (AT - 60 * MINUTE, AT - 5 * MINUTE)
    assert journals.spells_between(AT, AT + MINUTE) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    reported=st.dictionaries(
        st.sampled_from(["software", "counts", "journal"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=12),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["hub", "controllers", "cycles", "since", "cause", "starts_at", "ends_at", "x"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ),
    )
)
def test_whatever_a_hub_says_it_is_read(kit, reported):
    tell(kit, reported)
    assert not HubSpell.objects.filter(cause="silent").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"cause": "silent"},
        {"cause": "gremlins"},
        {"starts_at": "2026-04-06T10:00:00"},
        {"starts_at": "yesterday"},
        {"starts_at": (AT + 60 * MINUTE).isoformat()},
        {"starts_at": (AT - timedelta(days=90)).isoformat()},
        {"ends_at": (AT - timedelta(days=2)).isoformat()},
        {"ends_at": 3},
        {"resource_id": "x" * 65},
        {"resource_id": None},
    ],
)
def test_a_spell_that_means_nothing_is_passed_over_and_the_next_counts(kit, wrong):
    good = {
        "cause": "crashed",
        "starts_at": (AT - 60 * MINUTE).isoformat(),
        "ends_at": (AT - 30 * MINUTE).isoformat(),
    }
    tell(kit, {"journal": [{**good, "cause": "no_lan", **wrong}, good]})
    assert [each.cause for each in HubSpell.objects.all()] == ["crashed"]


def test_a_hub_not_heard_is_silent_from_when_it_was_heard_last(kit):
    heard(kit, WALL)
    journals.watch(at=AT, wall=WALL)
    for minutes in range(5, 61, 5):
        journals.watch(at=AT + minutes * MINUTE, wall=WALL + minutes * MINUTE)
    spell = HubSpell.objects.get()
    assert (spell.cause, spell.starts_at, spell.ends_at) == ("silent", AT, None)
    heard(kit, WALL + 64 * MINUTE)
    assert journals.watch(at=AT + 65 * MINUTE, wall=WALL + 65 * MINUTE) == 1
    assert HubSpell.objects.get().ends_at == AT + 64 * MINUTE
    assert journals.watch(at=AT + 70 * MINUTE, wall=WALL + 70 * MINUTE) == 0


def test_our_own_outage_is_ours_and_makes_no_hub_silent(kit):
    heard(kit, WALL)
    journals.watch(at=AT, wall=WALL)
    back = 180 * MINUTE
    journals.watch(at=AT + back, wall=WALL + back)
    assert not HubSpell.objects.exists()
    assert journals.site_down(AT - MINUTE, AT + 2 * back) == [(AT, AT + back)]
    assert journals.site_down(AT + 60 * MINUTE, AT + 90 * MINUTE) == [(AT + 60 * MINUTE, AT + 90 * MINUTE)]
    assert journals.site_down(AT + back, AT + 2 * back) == []
    assert UpSpell.objects.count() == 2
    for minutes in range(5, 45, 5):
        journals.watch(at=AT + back + minutes * MINUTE, wall=WALL + back + minutes * MINUTE)
    assert HubSpell.objects.get().starts_at == AT


def test_a_retired_hubs_silence_is_over(kit):
    heard(kit, WALL - 60 * MINUTE)
    UpSpell.objects.create(starts_at=AT - 120 * MINUTE, seen_at=AT - MINUTE, seen_wall_at=WALL - MINUTE)
    journals.watch(at=AT, wall=WALL)
    assert HubSpell.objects.get().ends_at is None
    Hub.objects.update(state=Hub.State.RETIRED)
    journals.watch(at=AT + MINUTE, wall=WALL + MINUTE)
    assert HubSpell.objects.get().ends_at == AT + MINUTE


def test_a_look_is_a_few_statements_for_any_number_of_hubs(django_assert_max_num_queries):
    home = make_home()
    Hub.objects.bulk_create(
        Hub(
            home=make_home() if number == 0 else home,
            serial=f"BULK-{number}",
            state=Hub.State.COMMISSIONED if number == 0 else Hub.State.RETIRED,
            ven_id=f"VEN-{number}",
            commissioned_at=AT,
        )
        for number in range(500)
    )
    with django_assert_max_num_queries(14):
        journals.watch(at=AT, wall=WALL)

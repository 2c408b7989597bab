"""May these assets take part, and if not, why: ten thousand homes asked at once, from PostgreSQL to verdicts.

Run it as `python manage.py bench take_part`, or as a program with `--homes`. Each home has a household with
consents, a hub and two assets; a tenth has opted out at some hours, a tenth keeps half its power, one in
seven has needs, which are sealed. Reading what the assets are is told apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
MOST_MS, ROUNDS = 200, 7
AT = datetime(2026, 1, 14, 12, tzinfo=UTC)


def main() -> None:
    """Make the homes in a scratch database, ask, and print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=10_000)
    homes = parser.parse_args().homes
    from _vtn_world import scratch_database

    with scratch_database():
        settle_in(homes)
        ask(homes)


def settle_in(homes: int) -> None:
    """Write the homes and what their households have said, in bulk."""
    from assets.models import Asset, Hub
    from members.care import Care, Need
    from members.care_models import HouseholdCare
    from members.models import Consent, ConsentText, Home, Household, Member, Occupancy, StandingOptOut
    from opendsr.kernel import encryption
    from tests.factories import make_asset_kinds, make_consent_texts, new_mpan

    make_asset_kinds()
    make_consent_texts(at=AT - timedelta(days=300))
    since = AT - timedelta(days=200)
    texts = {text.purpose: text for text in ConsentText.objects.all()}
    numbers = range(homes)
    households = Household.objects.bulk_create(Household(name=f"Household {n}") for n in numbers)
    people = Member.objects.bulk_create(
        Member(number=f"M-{n + 1:05d}", household=households[n], full_name=f"Member {n}", joined_at=since)
        for n in numbers
    )
    places = Home.objects.bulk_create(
        Home(name=f"{n} Bench Street", postcode="M15 5RF", mpan=new_mpan(), gsp_group="G") for n in numbers
    )
    stays = Occupancy.objects.bulk_create(
        Occupancy(home=places[n], household=households[n], starts_at=since) for n in numbers
    )
    Consent.objects.bulk_create(
        Consent(
            occupancy=stays[n],
            member=people[n],
            text=texts[purpose],
            purpose=purpose,
            granularity="none" if purpose == "flexibility" else "half_hourly",
            channel="web",
            starts_at=since,
        )
        for n in numbers
        for purpose in ("flexibility", "settlement")
    )
    StandingOptOut.objects.bulk_create(
        StandingOptOut(
            occupancy=stays[n],
            starts_at=since,
            from_time=None if n % 20 else datetime(2026, 1, 1, 16).time(),
            to_time=None if n % 20 else datetime(2026, 1, 1, 19).time(),
            weekdays=31,
            least_pct=50 if n % 10 == 5 else None,
        )
        for n in numbers
        if n % 5 == 0
    )
    for n in numbers[::7]:
        care = HouseholdCare(household=households[n], told_at=since)
        text = Care(frozenset({list(Need)[n % 6]})).written()
        care.sealed = encryption.seal(
            care.key_subject, text, f"members_householdcare.sealed {households[n].pk}"
        )
        care.save()
    hubs = Hub.objects.bulk_create(
        Hub(home=places[n], serial=f"HUB-{n}", state="commissioned", ven_id=f"VEN-{n}", commissioned_at=since)
        for n in numbers
    )
    Asset.objects.bulk_create(
        Asset(
            hub=hubs[n],
            kind_id=kind,
            resource_id=f"{kind}-{n}",
            name=kind,
            rated_w=3_000,
            flexible_w=1_000,
            installed_at=since,
        )
        for n in numbers
        for kind in ("ev_charger", "immersion_heater")
    )


def ask(homes: int) -> None:
    """Ask of all, and of one; print both, and what was answered."""
    from django.db import connection

    from assets.models import Asset
    from assets.queries import zone_assets
    from campaigns.eligibility import may_take_part
    from opendsr.kernel.interval import Interval

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    interval = Interval(AT + timedelta(hours=4), AT + timedelta(hours=5))
    for name, chosen, bar in (
        ("all", Asset.objects.filter(kind="ev_charger"), f" goal {MOST_MS}"),
        ("one", Asset.objects.filter(resource_id="ev_charger-14"), ""),
    ):
        began = time.perf_counter()
        rows = zone_assets(chosen)
        sys.stdout.write(f"BENCH take_part_{name}_read {(time.perf_counter() - began) * 1_000:.1f} ms\n")
        spent = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            verdicts = may_take_part(rows, interval, direction="turn_down", at=AT)
            spent.append((time.perf_counter() - began) * 1_000)
        sys.stdout.write(f"BENCH take_part_{name} {median(spent):.1f} ms{bar}\n")
        if name == "all":
            told = Counter(verdict.reason or "may" for verdict in verdicts.values())
            shown = ", ".join(f"{reason} {count}" for reason, count in told.most_common())
            sys.stdout.write(f"{homes} homes: {shown}\n")


if __name__ == "__main__":
    main()

"""Pages of readings on a phone and on a desk: drawn, accessible, never moved sideways."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import pytest
from axe_playwright_python.sync_playwright import Axe

from members import consenting, partnering
from members.models import Purpose, Role
from metering import import_jobs, rates
from metering.intake_models import Message, Sender
from metering.models import PartnerDay, PartnerMonth
from opendsr.kernel.ids import new_uuid
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.factories import make_staff
from tests.web.scene import NOW, Scene

FILE = b"""LCLid,tstp,energy_kWh
ASH,2026-01-05 00:30:00,0.1
ASH,2026-01-05 01:00:00,much
OAK,2026-01-05 01:30:00,9
"""
AGILE = "period_from_local,period_to_local,import_p_per_kwh,export_p_per_kwh\n"


def _prices() -> bytes:
    start = NOW.replace(hour=0) - timedelta(days=12)
    times = [start + timedelta(minutes=30 * number) for number in range(48 * 13)]
    return (AGILE + "".join(f"{at:%d/%m/%Y %H:%M},,{14 + at.hour % 12}.5,\n" for at in times)).encode()


def _carbon() -> bytes:
    start = NOW.replace(hour=0) - timedelta(days=12)
    times = [start + timedelta(minutes=30 * number) for number in range(48 * 13)]
    return (
        "from,to,forecast,actual,index\n"
        + "".join(f"{at:%Y-%m-%d %H:%M}Z,,{90 + 8 * at.hour},,\n" for at in times)
    ).encode()


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_of_readings(width: int, scene: Scene, open_page: OpenPage) -> None:
    for contents in (_prices(), _carbon()):
        rates.import_rates(file=BytesIO(contents), name="rates.csv", at=NOW)
    dan = make_staff("dan@example.org", Role.DEVICE_MANAGER)
    job = import_jobs.upload(
        job_id=new_uuid(), name="readings of the winter.csv", chunks=[FILE], at=NOW, by=dan
    )
    import_jobs.choose(
        job_id=job.pk, options={}, meters={"ASH": str(scene.alice.stream_id)}, is_for_real=False
    )
    import_jobs.run(job_id=job.pk, at=NOW)
    Sender.objects.create(
        kind="glow", name="BCDDC2C6A91C", received_at=NOW - timedelta(hours=3), drift_seconds=75
    )
    for code, topic in (
        ("unknown_sender", "glow/BCDDC2C6A91C/SENSOR/electricitymeter"),
        ("not_json", "glow/x"),
    ):
        Message.objects.create(
            outcome="dead", source="glow", sender="BCDDC2C6A91C", topic=topic, body="{", code=code,
            detail="sender 'BCDDC2C6A91C': register the device: its serial number is its MAC address",
            received_at=NOW, times=1_203,
        )  # fmt: skip
    found = {}
    pages = [
        ("/", scene.alice.user),
        ("/usage/", scene.alice.user),
        ("/usage/?view=halves", scene.alice.user),
        ("/usage/?view=year", scene.alice.user),
        ("/metering/health/", dan),
        (f"/metering/homes/{scene.alice.occupancy.pk}/", dan),
        ("/imports/", dan),
        (f"/imports/{job.pk}/", dan),
        ("/message-rules/", dan),
    ]
    for path, user in pages:
        page = open_page(path, user=user, width=width)
        wait_for_charts(page)
        told = Axe().run(page).response["violations"]
        troubles = [f"{each['id']}: {each['nodes'][0]['html'][:90]}" for each in told]
        if is_too_wide(page):
            troubles.append("has to be moved sideways")
        if troubles:
            found[path] = troubles
        page.context.close()

    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_of_partners(width: int, scene: Scene, open_page: OpenPage) -> None:
    partner = partnering.make_partner(name="Calder Valley Homes", by="staff:1", at=NOW)
    pat = partnering.open_account(partner=partner, email="pat@calder.example", by="staff:1", at=NOW)
    rows = f"home,starts_on\n{scene.alice.home.mpan},2026-01-01\nNowhere,2026-01-01\n"
    partnering.link_homes(partner=partner, text=rows, by="staff:1", at=NOW)
    consenting.publish_text(
        purpose=Purpose.PARTNER_TOTALS, body="You may count my home's days in totals.", at=NOW
    )
    first = date(2025, 12, 1)
    month = PartnerMonth.objects.create(
        partner_id=partner.pk, starts_on=first, homes=20, stream_ids=[], told_at=NOW
    )
    for number in range(31):
        told = {"homes": 20, "import_wh": 240_000 + 3_000 * number, "export_wh": 0}
        PartnerDay.objects.create(
            month=month,
            day=first + timedelta(days=number),
            **(told if number % 9 else {"withheld": "too_few"}),
        )
    mo = make_staff("mo@example.org", Role.MEMBER_SERVICES)
    for user, path in (
        (pat, "/partner/"),
        (pat, "/partner/?view=week"),
        (pat, "/partner/?view=day"),
        (mo, "/partners/"),
        (mo, f"/partners/{partner.pk}/"),
        (scene.alice.user, "/usage/"),
    ):
        page = open_page(path, user=user, width=width)
        wait_for_charts(page)
        if path.endswith(f"{partner.pk}/"):
            page.locator("textarea").fill(rows)
            page.get_by_role("button", name="Check").click()
            page.locator("#rejects").wait_for()
        assert not is_too_wide(page), path
        found = Axe().run(page).response["violations"]
        assert [f"{each['id']} {node['target']}" for each in found for node in each["nodes"]] == [], path

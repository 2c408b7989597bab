"""What `make screenshots` shows: the scene with more neighbours, and something on every main page.

All of it is invented and made by the services that the site itself uses; the world stands still, so that the
pictures of a second run differ only where the site does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from typing import Final

from assets import jobs
from assets.job_models import InstallJob
from assets.models import Asset
from campaigns import home_plans, tariffs
from campaigns.models import HomeTariff, Participation
from campaigns.tariff_models import Tariff
from members import applying, asking, inviting, opting_out, terms
from members.enquiry_models import TermsText
from members.models import Home, Role, User
from members.recurring import Recurrence
from notices import choosing
from notices.models import Notice
from opendsr.demo import cast, people
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import Installation
from opendsr.kernel.periods import civil_date
from opendsr.web import telling
from settlement.kpis import monthly
from tests.factories import make_resident, make_staff, new_mpan
from tests.web.scene import NOW, Scene, freeze, set_scene
from tests.web.things import open_request
from vtn.models import Ven

IN_EVENT: Final = NOW.replace(hour=17, minute=24)
POSTCODES: Final = ("HX7 8AD", "HX7 6HJ", "OL14 5QA", "HX7 5LN", "OL14 7DP")
SUBSTATIONS: Final = ("Mytholm", "Calder Bank", "Luddenden")
ASSET_NAMES: Final = {"ev_charger": "Car charger", "immersion_heater": "Hot water"}


@dataclass(frozen=True, slots=True)
class World:
    """The scene, those who look, and a visit of the installer's."""

    scene: Scene
    ada: User
    mo: User
    dan: User
    ivan: User
    visit: InstallJob


def set_world() -> World:
    """Make all of it; the clock stands still at `tests.web.scene.NOW`."""
    specs = cast.homes()
    neighbours = [(spec.members[0], "out" if number % 5 == 3 else "in") for number, spec in enumerate(specs)]
    people.publish_consent_texts(at=NOW - timedelta(days=90))
    scene = set_scene(neighbours=neighbours[2:])
    Installation.objects.update(is_demo=False)
    _name_things()
    ada = make_staff("ada@calderbank.example", Role.ADMINISTRATOR)
    mo = make_staff("mo@calderbank.example", Role.MEMBER_SERVICES)
    dan = make_staff("dan@calderbank.example", Role.DEVICE_MANAGER)
    ivan = make_staff("ivan@calderbank.example", Role.INSTALLER)
    _plan_nights(scene)
    open_request(scene, days=3)
    monthly.tell_due(at=NOW + timedelta(days=4))
    freeze()
    telling.tell_scheduled(campaign_id=scene.next.pk, at=NOW)
    choosing.give_number(member=scene.alice.member, phone="07700 900123", at=NOW)
    supper = Recurrence(weekdays=64, from_time=time(12), to_time=time(14))
    opting_out.start_standing_opt_out(
        occupancy=scene.alice.occupancy, at=NOW, starts_at=NOW, rule=supper, reason="Sunday dinner"
    )
    asking.open_request(
        member=scene.carol.member, kind="complaint", at=NOW - timedelta(days=3), channel="web", by="member",
        words="Nobody came on Monday, and nobody rang.",
    )  # fmt: skip
    _ask_to_join()
    visit = _plan_visit(ivan)
    outbox.drain()
    Notice.objects.exclude(kind="number_code").update(state="delivered", sent_at=NOW, attempts=1)
    Notice.objects.filter(pk=Notice.objects.order_by("pk")[2].pk).update(
        state="bounced", reason="undeliverable"
    )
    Ven.objects.update(last_seen_wall_at=clock.wall_now())
    Ven.objects.filter(pk=Ven.objects.order_by("-pk")[3].pk).update(last_seen_wall_at=NOW)
    words = terms.require_terms(TermsText.Kind.TERMS, NOW)
    terms.accept_terms(member=scene.alice.member, sha256=words.body_sha256, channel="web", at=NOW)
    return World(scene, ada, mo, dan, ivan, visit)


def answer_event(scene: Scene) -> None:
    """Let the homes of the next campaign answer, as they would in its first minutes."""
    freeze(IN_EVENT)
    for number, part in enumerate(Participation.objects.filter(campaign=scene.next).order_by("pk")):
        assert part.sent_at is not None
        state = "overridden" if number == 7 else "delivered_to_hub" if number in (4, 15) else "opted_in"
        Participation.objects.filter(pk=part.pk).exclude(state="opted_out").update(
            state=state,
            delivered_at=part.sent_at + timedelta(seconds=2 + number % 4),
            responded_at=None if state == "delivered_to_hub" else part.sent_at + timedelta(seconds=6),
        )


def _name_things() -> None:
    """Homes and devices as people call them."""
    roads = [*(spec.road for spec in cast.homes()), "41 Chapel Brow", "43 Towpath"]
    for number, home in enumerate(Home.objects.order_by("pk")):
        _place(home, roads[number], number)
    for code, name in ASSET_NAMES.items():
        Asset.objects.filter(kind_id=code).update(name=name)


def _place(home: Home, road: str, number: int) -> None:
    home.name = home.address = road
    home.postcode = POSTCODES[number % len(POSTCODES)]
    home.primary_substation = SUBSTATIONS[number % len(SUBSTATIONS)]
    home.cmz = cast.ZONE
    home.save(update_fields=["name", "address", "postcode", "primary_substation", "cmz"])


def _plan_nights(scene: Scene) -> None:
    bands = {time(0): Decimal("24.5"), time(0, 30): Decimal(9), time(5, 30): Decimal("24.5")}
    tariffs.set_bands(code="e7", name="Night rate", bands=bands, at=NOW, by="test")
    night_rate = Tariff.objects.get(code="e7")
    for household in scene.homes:
        stay = household.resident.occupancy
        HomeTariff.objects.create(occupancy=stay, tariff=night_rate, starts_at=stay.starts_at)
    home_plans.plan_night(night=civil_date(NOW), at=NOW)


def _ask_to_join() -> None:
    champion = inviting.make_champion(code="CALDER-JO", name="Jo Jagger", reward_pence=500, by="test", at=NOW)
    told = {"tenure": "owner", "smart_meter": "yes", "asset_kinds": ["ev_charger"]}
    names = (("Nia Newsome", "3 Far Moor"), ("Omar Oldroyd", "18 Towpath"), ("Bea Broadbent", "7 Heath View"))
    for number, (name, address) in enumerate(names):
        at = NOW - timedelta(days=9 * number + 1)
        email = f"{name.split()[0].lower()}@post.example"
        found = applying.start(full_name=name, email=email, at=at, champion=champion if number == 1 else None)
        given = told | {"address": address, "postcode": POSTCODES[number], "mpan": new_mpan()}
        applying.answer(application_id=found.pk, given=given, at=at)
        if number < 2:
            applying.submit(application_id=found.pk, at=at)


def _plan_visit(ivan: User) -> InstallJob:
    home = make_resident("Will Wadsworth", at=NOW).home
    _place(home, "22 Lock Street", 1)
    job = jobs.plan_job(home=home, at=NOW, by="test")
    survey = {
        "kinds": ["ev_charger"], "heaters": [], "cable_m": 14, "signal_dbm": -61, "supplier": "Any Energy",
        "meter_model": "Aclara SGM1411", "notes": "Consumer unit is under the stairs.",
    }  # fmt: skip
    jobs.record_survey(job_id=job.pk, given=survey, at=NOW, by="test")
    jobs.schedule(job_id=job.pk, installer=ivan, starts_at=NOW + timedelta(hours=20), at=NOW, by="test")
    job.refresh_from_db()
    return job

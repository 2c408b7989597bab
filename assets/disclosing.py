"""What this room holds about a household's homes, for a copy of everything: hubs, displays, assets."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Final

from django.db.models import Q

from assets.job_models import InstallJob, JobPhoto, JobTest, PairingAttempt
from assets.models import Asset, Cad, Hub
from assets.registry_models import ChangeRow, HomeMeasure, HubSpell, Meter, RelayCount
from assets.update_models import RolloutHub
from members.disclosing import Person
from opendsr.kernel.disclosure import Table, table_of

NOT_DISCLOSED: Final[Mapping[str, str]] = {}


def tables(whose: Person) -> Iterator[Table]:
    """Hubs, their software, displays and assets in the person's homes."""
    hubs = Hub.objects.filter(whose.in_use_there("home", "commissioned_at", "retired_at")).order_by(
        "commissioned_at", "pk"
    )
    yield table_of(hubs, model=Hub, title="Hubs in your homes", leave_out=("enrolment_code_sha256",))
    cads = Cad.objects.filter(whose.in_use_there("home", "paired_at", "retired_at")).order_by(
        "paired_at", "pk"
    )
    yield table_of(cads, model=Cad, title="Displays and meter readers (CADs) in your homes")
    fitted = whose.in_use_there("hub__home", "installed_at", "retired_at")
    assets = Asset.objects.filter(fitted).select_related("hub").order_by("installed_at", "pk")
    lived_in = {stay.home_id for stay in whose.stays if stay.ends_at is None}
    yield table_of(
        assets,
        model=Asset,
        title="Devices that can be asked",
        leave_out=("needs",),
        # What is asked of a device now is of who lives with it now.
        more={"needs": lambda row: row.needs if row.hub.home_id in lived_in else {}},
    )
    visits = InstallJob.objects.filter(whose.while_there("home", "made_at")).order_by("made_at", "pk")
    yield table_of(visits, model=InstallJob, title="Visits to your home")
    of_visits = {"job__in": visits.order_by()}
    tries = PairingAttempt.objects.filter(**of_visits).order_by("at", "pk")
    yield table_of(tries, model=PairingAttempt, title="Tries to pair your display with the meter")
    tests = JobTest.objects.filter(**of_visits).order_by("at", "pk")
    yield table_of(tests, model=JobTest, title="Tests made at the visits")
    photos = JobPhoto.objects.filter(**of_visits).order_by("at", "pk")
    yield table_of(
        photos,
        model=JobPhoto,
        title="Photos taken at the visits",
        leave_out=("jpeg_sealed",),
        more={"jpeg_base64": lambda row: base64.b64encode(row.jpeg).decode()},
    )
    updates = RolloutHub.objects.filter(whose.while_there("hub__home", "changed_at")).order_by(
        "changed_at", "pk"
    )
    yield table_of(updates, model=RolloutHub, title="Software updates of your hubs")
    yield from _registered(whose, fitted)


def _registered(whose: Person, fitted: Q) -> Iterator[Table]:
    meters = Meter.objects.filter(whose.in_use_there("home", "fitted_at", "removed_at"))
    yield table_of(meters.order_by("fitted_at", "pk"), model=Meter, title="Meters in your homes")
    counts = RelayCount.objects.filter(asset__in=Asset.objects.filter(fitted)).order_by("asset_id")
    yield table_of(counts, model=RelayCount, title="How often your devices were switched")
    spells = HubSpell.objects.filter(whose.in_use_there("hub__home", "starts_at", "ends_at"))
    yield table_of(
        spells.order_by("starts_at", "pk"), model=HubSpell, title="When your hubs could not do their work"
    )
    measures = HomeMeasure.objects.filter(whose.in_use_there("home", "added_at", "removed_at"))
    yield table_of(
        measures.order_by("done_on", "pk"), model=HomeMeasure, title="Measures and services in your homes"
    )
    changes = ChangeRow.objects.filter(whose.while_there("home", "changed_at"))
    yield table_of(
        changes.order_by("changed_at", "pk"), model=ChangeRow, title="Changes made to many homes at once"
    )

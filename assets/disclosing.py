"""What this room holds about a household's homes, for a copy of everything: hubs, displays, assets."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Final

from assets.job_models import InstallJob, JobPhoto, JobTest, PairingAttempt
from assets.models import Asset, Cad, Hub
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
    assets = Asset.objects.filter(fitted).order_by("installed_at", "pk")
    yield table_of(assets, model=Asset, title="Devices that can be asked")
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
        leave_out=("jpeg",),
        more={"jpeg_base64": lambda row: base64.b64encode(bytes(row.jpeg)).decode()},
    )
    updates = RolloutHub.objects.filter(whose.while_there("hub__home", "changed_at")).order_by(
        "changed_at", "pk"
    )
    yield table_of(updates, model=RolloutHub, title="Software updates of your hubs")

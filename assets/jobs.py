"""Visits to homes, step by step: planned, surveyed, scheduled, fitted, signed off, live by the first data.

What an installer does is recorded as it is done; signing off asks that nothing is left out. A CAD that does
not pair is no dead end: after three failures it is escalated, and the home may be finished without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from assets import fitting, installing
from assets.installing import PlannedHub, install_asset, pair_cad
from assets.job_models import InstallJob, JobPhoto, JobTest, PairingAttempt
from assets.models import Asset, Cad, Hub
from assets.photos import made_anew
from assets.surveying import Found, is_nothing_left, judge, limits_in_force
from members import entry
from members.constraints import refused_as
from members.models import Home, Occupancy, Role, User
from opendsr.kernel import audit, encryption, outbox
from opendsr.kernel.errors import DomainError, NotFound

State = InstallJob.State
Outcome = PairingAttempt.Outcome
INSTANT: Final = timedelta(microseconds=1)
OPEN: Final = (State.PLANNED, State.SURVEYED, State.SCHEDULED)
TRIES: Final = 3
CODE_AFTER_VISIT: Final = timedelta(days=2)
LIVE: Final = "assets.home.live"
SWITCHED: Final = ("immersion_heater", "storage_heater")
"""Kinds with a manual switch in parallel, whose test is asked for."""
IMMERSION: Final = ("wiring", "diverter", "thermostat_c", "boost_hours")
WIRINGS: Final = ("supply", "boost_input")


class JobNotFound(NotFound):
    """No such visit for this user."""


class JobOpen(DomainError):
    """A visit to this home is planned already."""

    home_id: str


class JobWrongState(DomainError):
    """The visit is not at the step that allows this."""

    state: str


class NotAnInstaller(DomainError):
    """The account does not hold the role of an installer."""

    field: str


class TooFewTries(DomainError):
    """A CAD is given up only after it failed to pair this often."""

    tries: int
    needed: int


class NotReady(DomainError):
    """Something is left out that signing off asks for."""

    missing: tuple[str, ...]


@transaction.atomic
def plan_job(*, home: Home, at: datetime, by: str) -> InstallJob:
    """Plan a visit to the home; raises JobOpen when one is under way."""
    with refused_as(installjob_one_open_a_home=JobOpen(home_id=str(home.pk))):
        job = InstallJob.objects.create(home=home, since=at, made_at=at)
    _record(job, by, "job.planned", at)
    return job


@transaction.atomic
def plan_for_joined(*, home_id: UUID, at: datetime) -> InstallJob | None:
    """Plan the visit to a home that has just joined; None where a hub works or a visit is planned already."""
    home = Home.objects.select_for_update(no_key=True).get(pk=home_id)
    if home.hubs.filter(state=Hub.State.COMMISSIONED).exists() or home.install_jobs.filter(state__in=OPEN):
        return None
    return plan_job(home=home, at=at, by="house")


@transaction.atomic
def note_new_meter(*, home: Home, changed_at: datetime, at: datetime, by: str) -> InstallJob | None:
    """Take the CAD out of use that was paired with the old meter, and plan the visit that pairs one anew.

    Nothing else changes: no meter and no supplier is a key to hub, consent or stream, and a register that
    begins anew is a gap of one half-hour. None where there was no CAD, or a visit is planned already.
    """
    if changed_at > at:
        raise entry.InvalidField(field="changed_on", problem="in_the_future")
    audit.record(
        at=at, actor=by, verb="meter.changed", target=f"home:{home.pk}", detail={"changed_at": changed_at}
    )
    held = Home.objects.select_for_update(no_key=True).get(pk=home.pk)
    fitting.remove_meter(home=held, at=at)
    if not Cad.objects.filter(home=held, retired_at__isnull=True).update(retired_at=at):
        return None
    if held.install_jobs.filter(state__in=OPEN).exists():
        return None
    return plan_job(home=held, at=at, by=by)


@transaction.atomic
def record_survey(*, job_id: UUID, given: Mapping[str, Any], at: datetime, by: str) -> InstallJob:
    """Keep what was seen and what the limits say of it; nothing left to fit refuses the home.

    `given` holds kinds, heaters, cable_m, signal_dbm and, as they please, notes, supplier and meter_model.
    Raises JobNotFound, JobWrongState, InvalidField.
    """
    job = _locked(job_id, State.PLANNED, State.SURVEYED, State.REFUSED)
    found = Found(
        frozenset(given["kinds"]),
        frozenset(given["heaters"]),
        int(given["cable_m"]),
        int(given["signal_dbm"]),
    )
    limits = limits_in_force(at)
    findings = judge(found, limits)
    job.survey = {
        "kinds": sorted(found.kinds),
        "heaters": sorted(found.heaters),
        "cable_m": found.cable_m,
        "signal_dbm": found.signal_dbm,
        **{name: _line(given.get(name, ""), name, 300) for name in ("supplier", "meter_model")},
    }
    job.survey_notes = _line(given.get("notes", ""), "notes", 300)
    job.findings, job.limits_version, job.surveyed_at = (
        [asdict(each) for each in findings],
        limits.version,
        at,
    )
    state = State.REFUSED if is_nothing_left(found, findings) else State.SURVEYED
    return _moved(job, state, by, "job.surveyed", at, findings=[each.code for each in findings])


@transaction.atomic
def schedule(*, job_id: UUID, installer: User, starts_at: datetime, at: datetime, by: str) -> InstallJob:
    """Give the visit a day and an installer; scheduled again, it moves.

    Raises JobNotFound, JobWrongState, NotAnInstaller, InvalidField.
    """
    job = _locked(job_id, State.SURVEYED, State.SCHEDULED)
    if not installer.is_active or not installer.groups.filter(name=Role.INSTALLER.value).exists():
        raise NotAnInstaller(field="installer")
    if starts_at <= at:
        raise entry.InvalidField(field="starts_at", problem="not_ahead")
    job.installer, job.scheduled_at = installer, starts_at
    return _moved(job, State.SCHEDULED, by, "job.scheduled", at)


@transaction.atomic
def issue_jobsheet(*, job_id: UUID, serial: str, at: datetime, by: str) -> PlannedHub:
    """Plan the hub with its one-time code, good until two days after the visit, or give a fresh code.

    The code is on this one sheet only; printing another voids it. Raises JobNotFound, JobWrongState, and
    what `plan_hub` and `reissue_code` raise.
    """
    job = _locked(job_id, State.SCHEDULED)
    if job.scheduled_at is None:
        raise JobWrongState(state=job.state)
    life = max(job.scheduled_at - at, timedelta()) + CODE_AFTER_VISIT
    if job.hub is None:
        planned = installing.plan_hub(home=job.home, serial=serial, at=at, code_life=life)
        job.hub = planned.hub
        job.save(update_fields=["hub"])
    else:
        planned = installing.reissue_code(hub=job.hub, at=at, code_life=life)
    _record(job, by, "job.sheet_issued", at, hub=planned.hub.serial)
    return planned


@transaction.atomic
def try_pairing(
    *,
    job_id: UUID,
    supplier: str,
    meter_model: str,
    cad_serial: str,
    outcome: str,
    at: datetime,
    by: str,
    note: str = "",
) -> PairingAttempt:
    """Log one try; a paired CAD is the home's from then on. Raises JobNotFound, JobWrongState, InvalidField,
    HomeHasCad, SerialTaken.
    """
    job = _locked(job_id, State.SCHEDULED)
    outcome = entry.choice(Outcome, outcome, "outcome")
    attempt = PairingAttempt.objects.create(
        job=job,
        at=at,
        supplier=_line(supplier, "supplier", 60, may_be_empty=False),
        meter_model=_line(meter_model, "meter_model", 60, may_be_empty=False),
        cad_serial=_line(cad_serial, "cad_serial", 40, may_be_empty=False),
        outcome=outcome,
        note=_line(note, "note", 300),
        by=by,
    )
    if outcome == Outcome.PAIRED:
        if not Cad.objects.filter(home=job.home, serial=attempt.cad_serial, retired_at__isnull=True).exists():
            pair_cad(home=job.home, serial=attempt.cad_serial, at=at)
        job.cad_outcome, job.escalated_at, job.cad_note = InstallJob.CadOutcome.PAIRED, None, ""
    elif failed_tries(job) >= TRIES and job.escalated_at is None and not job.cad_outcome:
        job.escalated_at = at
        _record(job, by, "job.pairing_escalated", at, supplier=attempt.supplier, model=attempt.meter_model)
    job.save(update_fields=["cad_outcome", "cad_note", "escalated_at"])
    return attempt


@transaction.atomic
def finish_without_cad(*, job_id: UUID, reason: str, at: datetime, by: str) -> InstallJob:
    """Give up pairing for now: readings then come from the hub or the supplier, and the CAD may pair later.

    Raises JobNotFound, JobWrongState, TooFewTries, InvalidField.
    """
    job = _locked(job_id, State.SCHEDULED)
    tries = failed_tries(job)
    if tries < TRIES:
        raise TooFewTries(tries=tries, needed=TRIES)
    job.cad_outcome = InstallJob.CadOutcome.WITHOUT
    job.cad_note = _line(reason, "reason", 300, may_be_empty=False)
    job.save(update_fields=["cad_outcome", "cad_note"])
    _record(job, by, "job.without_cad", at)
    return job


@transaction.atomic
def fit_asset(
    *, job_id: UUID, kind_code: str, name: str, rated_w: int | None, at: datetime, by: str
) -> Asset:
    """Record a device fitted on the visit. Raises NotReady, JobWrongState, and as `install_asset` does."""
    job = _locked(job_id, State.SCHEDULED)
    if job.hub is None:
        raise NotReady(missing=("hub",))
    refused = {each["found"] for each in job.findings if each["code"] == "heater"}
    if kind_code == "storage_heater" and refused and set(job.survey.get("heaters", ())) <= refused:
        raise entry.InvalidField(field="kind_code", problem="heater_refused")
    asset = install_asset(hub=job.hub, kind_code=kind_code, name=name, rated_w=rated_w, at=at)
    _record(job, by, "job.asset_fitted", at, asset=asset.pk, kind=kind_code)
    return asset


@transaction.atomic
def set_immersion(*, job_id: UUID, given: Mapping[str, Any], at: datetime, by: str) -> InstallJob:
    """Keep how the immersion heater is wired (on the supply or a diverter's boost input) and set.

    The thermostat stays at 60 °C or above, which the weekly cycle needs. Raises JobNotFound, InvalidField.
    """
    job = _locked(job_id, State.SCHEDULED)
    if given.get("wiring") not in WIRINGS:
        raise entry.InvalidField(field="wiring", problem="not_a_choice")
    thermostat = int(given.get("thermostat_c") or 0)
    if not 60 <= thermostat <= 75:
        raise entry.InvalidField(field="thermostat_c", problem="thermostat_out_of_range")
    job.immersion = {
        "wiring": given["wiring"],
        "diverter": _line(given.get("diverter", ""), "diverter", 60),
        "thermostat_c": thermostat,
    }
    job.save(update_fields=["immersion"])
    _record(job, by, "job.immersion_set", at)
    return job


@transaction.atomic
def record_test(
    *,
    job_id: UUID,
    kind: str,
    is_passed: bool,
    at: datetime,
    by: str,
    asset_id: UUID | None = None,
    note: str = "",
) -> JobTest:
    """Record a test as made; a later one of the same thing counts instead. Raises InvalidField."""
    job = _locked(job_id, State.SCHEDULED)
    kind = entry.choice(JobTest.Kind, kind, "kind")
    asset = None
    if kind == JobTest.Kind.DEVICE:
        asset = next((each for each in assets_of(job) if each.pk == asset_id), None)
        if asset is None:
            raise entry.InvalidField(field="asset", problem="not_a_choice")
    newest = job.tests.aggregate(at=Max("at"))["at"]
    if newest is not None and newest >= at:  # two of the same instant: the one that came later counts
        at = newest + INSTANT
    return JobTest.objects.create(
        job=job, kind=kind, asset=asset, is_passed=is_passed, note=_line(note, "note", 300), at=at, by=by
    )


@transaction.atomic
def keep_photo(*, job_id: UUID, body: bytes, caption: str, at: datetime, by: str) -> JobPhoto:
    """Keep a photo of the work. Raises JobNotFound, JobWrongState, PhotoUnusable."""
    job = _locked(job_id, State.SCHEDULED, State.SIGNED_OFF)
    picture = made_anew(body)
    photo = JobPhoto(
        job=job,
        caption=_line(caption, "caption", 120),
        width=picture.width,
        height=picture.height,
        at=at,
        by=by,
    )
    photo.jpeg = picture.body
    photo.save()
    return photo


@transaction.atomic
def sign_off(*, job_id: UUID, at: datetime, by: str) -> InstallJob:
    """Say that the home is fitted and tested; with data seen already it is live. Raises NotReady.

    Signed off again, nothing changes.
    """
    job = _locked(job_id, State.SCHEDULED, State.SIGNED_OFF)
    if job.state == State.SIGNED_OFF:
        return job
    missing = missing_for_sign_off(job)
    if missing:
        raise NotReady(missing=missing)
    job.signed_off_at, job.signed_off_by = at, by
    _moved(job, State.SIGNED_OFF, by, "job.signed_off", at)
    _live_when_due(job, at)
    return job


@transaction.atomic
def cancel_job(*, job_id: UUID, reason: str, at: datetime, by: str) -> InstallJob:
    """Call the visit off; what was learnt stays, the reason with the notes.

    Raises JobNotFound, JobWrongState, InvalidField.
    """
    job = _locked(job_id, *OPEN)
    reason = entry.one_line(reason, field="reason", longest=300)
    if job.hub is not None and job.hub.state == Hub.State.COMMISSIONED:
        raise JobWrongState(state="commissioned")
    job.survey_notes = f"{job.survey_notes} {reason}".strip()[-300:]
    return _moved(job, State.CANCELLED, by, "job.cancelled", at)


@transaction.atomic
def note_first_data(*, home_id: UUID, at: datetime) -> InstallJob | None:
    """The home's first reading has come: with the work signed off, it is live. Again changes nothing."""
    job = (
        InstallJob.objects.select_for_update(of=("self",))
        .filter(home_id=home_id, first_data_at__isnull=True, state__in=[State.SCHEDULED, State.SIGNED_OFF])
        .order_by("-made_at")
        .first()
    )
    if job is None:
        return None
    job.first_data_at = at
    job.save(update_fields=["first_data_at"])
    _live_when_due(job, at)
    return job


@transaction.atomic
def forget_visits(*, occupancy_ids: Sequence[UUID]) -> int:
    """Delete photos and shred notes of visits made during these stays; how many. What was fitted stays.

    A visit still under way was arranged with whoever is gone, so it is called off.
    """
    count = 0
    for stay in Occupancy.objects.filter(pk__in=list(occupancy_ids)).order_by("pk"):
        visits = InstallJob.objects.filter(home_id=stay.home_id, made_at__gte=stay.starts_at)
        if stay.ends_at is not None:
            visits = visits.filter(made_at__lte=stay.ends_at)
        JobPhoto.objects.filter(job__in=visits).delete()
        for pk in list(visits.values_list("pk", flat=True)):
            encryption.shred(pk)
        visits.filter(state__in=OPEN).update(state=State.CANCELLED)
        count += visits.update(cad_note="", survey_notes="")
    return count


def homes_awaiting_data() -> list[UUID]:
    """Homes whose visit is under way or signed off, and that have told nothing yet."""
    jobs = InstallJob.objects.filter(first_data_at=None, state__in=[State.SCHEDULED, State.SIGNED_OFF])
    return list(jobs.values_list("home_id", flat=True).distinct())


def visit_of(home_id: UUID | None) -> InstallJob | None:
    """The home's latest visit that was not called off."""
    if home_id is None:
        return None
    return (
        InstallJob.objects.filter(home_id=home_id).exclude(state=State.CANCELLED).order_by("-made_at").first()
    )


def failed_tries(job: InstallJob) -> int:
    """How often the CAD did not pair on this visit."""
    return job.pairing_attempts.exclude(outcome=Outcome.PAIRED).count()


def assets_of(job: InstallJob) -> list[Asset]:
    """What the visit's hub drives."""
    if job.hub_id is None:
        return []
    in_use = Asset.objects.filter(hub=job.hub_id).exclude(state=Asset.State.RETIRED)
    return list(in_use.select_related("kind").order_by("name", "pk"))


def tests_that_count(job: InstallJob) -> dict[tuple[str, UUID | None], JobTest]:
    """The latest test of each thing."""
    return {(each.kind, each.asset_id): each for each in job.tests.order_by("at", "pk")}


def missing_for_sign_off(job: InstallJob) -> tuple[str, ...]:
    """What is still to be done: hub, cad, assets, immersion, manual_switch, device, photo."""
    fitted = assets_of(job)
    kinds = {each.kind_id for each in fitted}
    counted = tests_that_count(job)

    def passed(kind: str, asset_id: UUID | None = None) -> bool:
        test = counted.get((kind, asset_id))
        return test is not None and test.is_passed

    needs = {
        "hub": job.hub is not None and job.hub.state == Hub.State.COMMISSIONED,
        "cad": bool(job.cad_outcome),
        "assets": bool(fitted),
        "immersion": "immersion_heater" not in kinds or bool(job.immersion),
        "manual_switch": not kinds.intersection(SWITCHED) or passed(JobTest.Kind.MANUAL_SWITCH),
        "device": all(passed(JobTest.Kind.DEVICE, each.pk) for each in fitted),
        "photo": job.photos.exists(),
    }
    return tuple(name for name, is_done in needs.items() if not is_done)


def access_by_installer(user: User, job_id: UUID) -> InstallJob | None:
    """The installer's own visit while it is theirs to do or was."""
    return (
        InstallJob.objects.select_related("home", "hub", "installer")
        .filter(pk=job_id, installer=user)
        .exclude(state=State.CANCELLED)
        .first()
    )


def _live_when_due(job: InstallJob, at: datetime) -> None:
    if job.live_at is None and job.first_data_at is not None and job.signed_off_at is not None:
        job.live_at = max(job.first_data_at, job.signed_off_at)
        job.save(update_fields=["live_at"])
        outbox.record(LIVE, at=at, key=str(job.pk), job_id=job.pk, home_id=job.home_id)


def _line(value: Any, field: str, longest: int, *, may_be_empty: bool = True) -> str:
    return entry.one_line(str(value or ""), field=field, longest=longest, may_be_empty=may_be_empty)


def _locked(job_id: UUID, *states: InstallJob.State) -> InstallJob:
    job = (
        InstallJob.objects.select_for_update(of=("self",))
        .select_related("home", "hub")
        .filter(pk=job_id)
        .first()
    )
    if job is None:
        raise JobNotFound()
    if job.state not in states:
        raise JobWrongState(state=job.state)
    return job


def _moved(
    job: InstallJob, state: InstallJob.State, by: str, verb: str, at: datetime, **detail: object
) -> InstallJob:
    job.state, job.since = state, at
    job.save()
    _record(job, by, verb, at, **detail)
    return job


def _record(job: InstallJob, by: str, verb: str, at: datetime, **detail: object) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"job:{job.pk}", detail=detail)

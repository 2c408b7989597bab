"""Everybody on the way in, joined from enquiries and visits: each one's stage, since when, what comes next.

`entries` reads all of them in four statements; names are opened for the rows that are shown only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Min, Q
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _lazy

from assets.job_models import InstallJob
from assets.models import Asset, Hub
from members import applying
from members.enquiry_models import Application
from members.models import Home
from opendsr.kernel import encryption
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date

STAGES: Final = (
    ("enquiry", _lazy("Enquiry")),
    ("assessed", _lazy("Assessed")),
    ("approved", _lazy("Approved")),
    ("joined", _lazy("Joined")),
    ("installed", _lazy("Installed")),
    ("provisioned", _lazy("Provisioned")),
    ("data_flowing", _lazy("Data flowing")),
    ("live", _lazy("Live")),
)
ORDER: Final = {code: number for number, (code, _label) in enumerate(STAGES)}
OUT: Final = {
    "declined": _lazy("declined"),
    "withdrawn": _lazy("withdrawn"),
    "home_refused": _lazy("home refused"),
}
LATE_DAYS: Final = 14
State = Application.State
JobState = InstallJob.State


@dataclass(frozen=True, slots=True)
class Entry:
    """One home on its way: `stage` is where it stands, `out` why it went no further."""

    stage: str
    since: datetime
    began_at: datetime
    out: str
    next_code: str
    application_id: UUID | None
    job_id: UUID | None
    home_id: UUID | None
    partner_id: UUID | None
    partner: str
    champion: str
    district: str

    def days(self, at: datetime) -> int:
        """Whole days at this stage."""
        return max(0, (at - self.since).days)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to show."""

    stage: str = ""
    partner_id: UUID | None = None
    champion: str = ""
    district: str = ""
    since: date | None = None
    days: int = 0

    def takes_for_counts(self, entry: Entry) -> bool:
        """True within the partner, code, district and beginning wanted: what conversion is counted over."""
        return (
            (self.partner_id is None or entry.partner_id == self.partner_id)
            and (not self.champion or entry.champion == self.champion)
            and (not self.district or entry.district.startswith(self.district))
            and (self.since is None or civil_date(entry.began_at) >= self.since)
        )

    def takes(self, entry: Entry, at: datetime) -> bool:
        """True for a row to show."""
        if not self.takes_for_counts(entry) or entry.days(at) < self.days:
            return False
        if self.stage == "out":
            return bool(entry.out)
        return not entry.out and (not self.stage or entry.stage == self.stage)


@dataclass(frozen=True, slots=True)
class Reached:
    """How many stand at a stage, how many came at least so far, and what share that is of those before."""

    code: str
    label: str | Promise
    here: int
    late: int
    reached: int
    share_pct: int | None


NEXT: Final[dict[str, str | Promise]] = {
    "answer": _lazy("They have not handed it in"),
    "decide": _lazy("Decide"),
    "asked": _lazy("They owe an answer"),
    "agree": _lazy("They have to read and agree"),
    "plan": _lazy("Plan a visit"),
    "survey": _lazy("Survey"),
    "schedule": _lazy("Schedule"),
    "fit": _lazy("Fit the home"),
    "enrol": _lazy("Enrol the hub"),
    "cad": _lazy("Ask the supplier about the CAD"),
    "finish": _lazy("Finish and sign off"),
    "data": _lazy("Find out why no data comes"),
    "sign_off": _lazy("Sign off"),
    "": "",
}


def entries() -> list[Entry]:
    """Everybody, those who have stood longest first."""
    jobs = _jobs()
    fields = (
        "pk", "state", "since", "started_at", "joined_at", "home_id", "partner_id", "partner__name",
        "champion__code", "district",
    )  # fmt: skip
    found: list[Entry] = []
    seen: set[UUID] = set()
    for row in Application.objects.order_by("started_at").values(*fields):
        job = jobs.get(row["home_id"]) if row["state"] == State.JOINED else None
        if job is not None and row["home_id"] not in seen:
            seen.add(row["home_id"])
        else:
            job = None
        stage, since, out, what = _of_job(job, row["joined_at"]) if job else _of_application(row)
        found.append(
            Entry(
                stage, since, row["started_at"], out, what, row["pk"], job["pk"] if job else None,
                row["home_id"], row["partner_id"], row["partner__name"] or "", row["champion__code"] or "",
                row["district"],
            )
        )  # fmt: skip
    for home_id, job in jobs.items():
        if home_id not in seen:
            stage, since, out, what = _of_job(job, None)
            district = str(job["home__postcode"]).split(" ")[0]
            found.append(
                Entry(
                    stage, since, job["made_at"], out, what, None, job["pk"], home_id, None, "", "", district
                )
            )
    return sorted(found, key=lambda each: (each.since, str(each.application_id or each.job_id)))


def conversion(found: Iterable[Entry], at: datetime) -> list[Reached]:
    """Each stage's count and share; whoever went no further still counts for the stages reached before."""
    here: Counter[str] = Counter()
    late: Counter[str] = Counter()
    came: Counter[int] = Counter()
    for entry in found:
        came[ORDER[entry.stage]] += 1
        if not entry.out:
            here[entry.stage] += 1
            late[entry.stage] += entry.stage != "live" and entry.days(at) >= LATE_DAYS
    rows: list[Reached] = []
    before: int | None = None
    for number, (code, label) in enumerate(STAGES):
        reached = sum(count for place, count in came.items() if place >= number)
        share = None if not before else round(100 * reached / before)
        rows.append(Reached(code, label, here[code], late[code], reached, share))
        before = reached
    return rows


def names_of(rows: Sequence[Entry]) -> dict[UUID | None, str]:
    """What to call each row: the person while they are an applicant, then the home."""
    living = Home.objects.filter(pk__in={each.home_id for each in rows if each.home_id})
    with encryption.remembering():
        homes = {home.pk: home.name for home in living.only("pk", "name")}
    asked = {each.application_id for each in rows if each.application_id and each.home_id is None}
    applicants = list(Application.objects.filter(pk__in=among(asked)))
    with encryption.remembering():
        for application in applicants:
            encryption.expect(application.pk)
        people = {each.pk: applying.opened(each).get("full_name", "") for each in applicants}
    return {
        each.application_id or each.job_id: homes.get(each.home_id) or people.get(each.application_id, "")
        for each in rows
    }


def url_of(entry: Entry) -> str:
    """Where the next action is done."""
    if entry.job_id is not None:
        return reverse("visit_page", args=[entry.job_id])
    return reverse("enquiry_page", args=[entry.application_id])


def _of_application(row: dict[str, Any]) -> tuple[str, datetime, str, str]:
    state, since = row["state"], row["since"]
    if state in (State.DECLINED, State.WITHDRAWN):
        return ("assessed" if state == State.DECLINED else "enquiry"), since, str(state), ""
    stage, what = {
        State.STARTED: ("enquiry", "answer"),
        State.SUBMITTED: ("assessed", "decide"),
        State.ASKED: ("assessed", "asked"),
        State.APPROVED: ("approved", "agree"),
        State.JOINED: ("joined", "plan"),
    }[state]
    return stage, since, "", what


def _of_job(job: dict[str, Any], joined_at: datetime | None) -> tuple[str, datetime, str, str]:
    if job["live_at"]:
        return "live", job["live_at"], "", ""
    if job["state"] == JobState.REFUSED:
        return "joined", job["since"], "home_refused", ""
    is_signed = job["state"] == JobState.SIGNED_OFF
    if job["first_data_at"]:
        return "data_flowing", job["first_data_at"], "", "sign_off"
    if job["hub__state"] == Hub.State.COMMISSIONED:
        is_escalated = job["escalated_at"] and not job["cad_outcome"]
        what = "data" if is_signed else "cad" if is_escalated else "finish"
        return "provisioned", job["hub__commissioned_at"], "", what
    if job["fitted_at"]:
        return "installed", job["fitted_at"], "", "enrol"
    what = {JobState.PLANNED: "survey", JobState.SURVEYED: "schedule"}.get(job["state"], "fit")
    return "joined", joined_at or job["made_at"], "", what


def _jobs() -> dict[UUID, dict[str, Any]]:
    """The latest visit of each home that was not called off."""
    fields = (
        "pk", "state", "since", "made_at", "home_id", "home__postcode", "hub__state", "hub__commissioned_at",
        "first_data_at", "live_at", "cad_outcome", "escalated_at", "hub_id",
    )  # fmt: skip
    rows = InstallJob.objects.exclude(state=JobState.CANCELLED).order_by("made_at").values(*fields)
    jobs = {row["home_id"]: dict(row) for row in rows}
    in_use = ~Q(state=Asset.State.RETIRED)
    fitted = Asset.objects.filter(in_use, hub__install_job__isnull=False).values("hub_id")
    first = {row["hub_id"]: row["at"] for row in fitted.annotate(at=Min("installed_at"))}
    for job in jobs.values():
        job["fitted_at"] = first.get(job["hub_id"])
    return jobs

"""The registry of homes for staff: found by every way they are asked for, and taken out as a file."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from assets import finding, listing
from assets.listing import Fitted
from assets.policy import DEVICE_STAFF, MANAGES_DEVICES
from members.policy import has_role, require_role
from opendsr.kernel import audit, clock, xlsx
from opendsr.kernel.periods import civil_date
from opendsr.kernel.spreadsheets import inert
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.home_filters import HEALTHS, HomeFilter, in_words, names_on_record, query_of, sees_names
from opendsr.web.paging import paged

HOMES_SHOWN: Final = 50
COLUMNS: Final = (
    "home",
    "name",
    "postcode",
    "gsp_group",
    "primary_substation",
    "cmz",
    "hub",
    "hub_state",
    "hub_model",
    "hub_software",
    "hub_heard",
    "cad",
    "meter",
    "assets",
    "kinds",
    "rated_w",
    "flexible_w",
    "relay_life_used_pct",
    "health",
)


@require_GET
@signed_in
def home_list(request: HttpRequest) -> HttpResponse:
    """Homes that fit, a page at a time."""
    require_role(request.user, *DEVICE_STAFF)
    form = HomeFilter(request.GET or None)
    criteria = form.criteria()
    at, wall = clock.now(), clock.wall_now()
    keys = finding.homes(criteria, at=at, wall=wall, day=civil_date(at)).values_list("pk", flat=True)
    # What narrows is worked out once, for the number and for the page.
    chosen, pager = paged(request, keys if criteria.is_any else list(keys), size=HOMES_SHOWN)
    shown = finding.named(chosen)
    context = {
        "form": form,
        "is_narrowed": not criteria.is_any,
        "rows": [_row(each) for each in listing.fitted(shown, at=at, wall=wall)],
        "pager": pager,
        "query": query_of(criteria),
        "substations": names_on_record("primary_substation"),
        "zones": names_on_record("cmz"),
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/home_list.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def home_export(request: HttpRequest, form: str) -> HttpResponse:
    """The homes that fit, as CSV or XLSX. That they were taken out is noted.

    Who may not see a home by its name gets neither name nor the last part of the postcode.
    """
    require_role(request.user, *DEVICE_STAFF)
    if form not in ("csv", "xlsx"):
        raise Http404
    filters = HomeFilter(request.GET or None)
    criteria = filters.criteria()
    at, wall = clock.now(), clock.wall_now()
    homes = finding.homes(criteria, at=at, wall=wall, day=civil_date(at))
    is_named = sees_names(request.user)
    audit.record(
        at=at,
        actor=f"staff:{request.user.pk}",
        verb="registry.exported",
        target="homes",
        detail={
            "form": form,
            "chosen": in_words(filters, is_open=False),
            "homes": homes.count(),
            "names": is_named,
        },
    )
    rows = _file_rows(listing.every(homes, at=at, wall=wall, is_named=is_named), is_named=is_named)
    name = f"registry-{civil_date(at):%Y-%m-%d}.{form}"
    if form == "xlsx":
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the response
        xlsx.write_sheet(file, title="Registry", rows=rows)
        file.seek(0)
        return FileResponse(file, as_attachment=True, filename=name, content_type=xlsx.CONTENT_TYPE)  # type: ignore[return-value]
    answer = StreamingHttpResponse(_csv_lines(rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer  # type: ignore[return-value]


def healths_of(fitted: Fitted) -> list[str]:
    """What is to say of the home's health, the worst first."""
    if fitted.hub is None or fitted.hub.state != "commissioned":
        return [finding.NO_HUB]
    found = [
        code
        for code, holds in (
            (finding.SILENT, fitted.is_silent),
            (finding.FAULTY, fitted.is_faulty),
            (finding.WORN, fitted.is_worn),
            (finding.OUTDATED, fitted.is_outdated),
            (finding.NO_CAD, fitted.cad is None),
        )
        if holds
    ]
    return found or [finding.WELL]


def _row(fitted: Fitted) -> dict[str, Any]:
    return {
        "home": fitted.home,
        "hub": fitted.hub,
        "url": reverse("home_page", args=[fitted.home.pk]),
        "hub_url": "" if fitted.hub is None else reverse("hub_page", args=[fitted.hub.pk]),
        "heard": "" if fitted.heard_wall_at is None else naturaltime(fitted.heard_wall_at),
        "assets": "; ".join(f"{each.kind.name}, {wording.power(each.rated_w)}" for each in fitted.assets),
        "flexible": wording.power(fitted.flexible_w) if fitted.assets else "",
        "healths": [HEALTHS[code] for code in healths_of(fitted)],
    }


def _file_rows(rows: Iterator[Fitted], *, is_named: bool) -> Iterator[tuple[xlsx.Cell, ...]]:
    yield COLUMNS
    for row in rows:
        home, hub, share = row.home, row.hub, row.worst_share
        yield (
            str(home.pk),
            home.name if is_named else "",
            home.postcode if is_named else home.postcode.split(" ")[0],
            home.gsp_group,
            home.primary_substation,
            home.cmz,
            "" if hub is None else hub.serial,
            "" if hub is None else hub.state,
            "" if hub is None or hub.product is None else str(hub.product),
            "" if hub is None else hub.firmware,
            "" if row.heard_wall_at is None else row.heard_wall_at.isoformat(timespec="seconds"),
            "" if row.cad is None else row.cad.serial,
            "" if row.meter is None else row.meter.serial,
            len(row.assets),
            ", ".join(sorted({each.kind_id for each in row.assets})),
            sum(each.rated_w for each in row.assets),
            row.flexible_w,
            None if share is None else round(100 * share),
            ", ".join(healths_of(row)),
        )


def _csv_lines(rows: Iterator[tuple[xlsx.Cell, ...]]) -> Iterator[str]:
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    yield "\ufeff"
    for row in rows:
        yield writer.writerow([inert(each) if isinstance(each, str) else each for each in row])


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        """The line."""
        return line

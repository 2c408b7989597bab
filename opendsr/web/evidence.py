"""The evidence pack of an event: one document, as CSV, JSON and PDF, of totals and of no home by name.

What a buyer of flexibility is shown, and what an auditor holds against the records: how many were asked, how
each leg went, when each asset started and ended as its hub drew, what was estimated, and what meters show
once they do. Its status says how sure that is; the hash is of the document itself.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

import campaigns.queries
import settlement.queries
from campaigns import reporting
from campaigns.models import Campaign, Participation, ServicingSignal
from opendsr.kernel import installation, logos
from opendsr.kernel.spreadsheets import inert
from opendsr.web import campaign_page, draws, live_board, measured, statement_pdf, wording
from settlement.models import RoundKind

ESTIMATED: Final = "estimated"
DRAWS_ON_PAPER: Final = 200
"""More than a reader goes through; the other files have them all."""
STATUS_WORDS: Final[Mapping[str, str | Promise]] = {
    ESTIMATED: _lazy("Estimated: from what hubs answered; no meter was read yet"),
    RoundKind.PROVISIONAL: _lazy("Provisional: from meter readings; they may still come or be corrected"),
    RoundKind.FINAL: _lazy("Final"),
    RoundKind.CORRECTION: _lazy("A correction of final figures"),
}


def pack(campaign: Campaign) -> dict[str, Any]:
    """The document; plain values, times ISO 8601 in UTC, power in W and energy in Wh."""
    report = reporting.event_report(campaign.pk, has_lines=False)
    run = settlement.queries.newest_run(campaign.pk)
    signals = ServicingSignal.objects.filter(campaign=campaign).select_related("client")
    document: dict[str, Any] = {
        "status": ESTIMATED if run is None else str(run.round.kind),
        "coop": installation.current().coop_name,
        "event": {
            "id": str(campaign.pk),
            "name": report.name,
            "programme": report.programme,
            "direction": report.direction,
            "where": campaign_page.where(campaign),
            "starts_at": report.starts_at.isoformat(),
            "ends_at": report.ends_at.isoformat(),
            "asked_w": report.size_w,
            "state": report.state,
            "spread_seconds": campaign.spread_seconds,
        },
        "answers": {
            "homes": report.homes,
            "assets": report.assets,
            "sent": report.sent,
            "answered": report.answered,
            "responding": report.responding,
            "responding_share": round(report.responding_share, 4),
            "opted_out": report.opt_outs,
            "overridden": report.overrides,
            "estimated_w": report.estimated_w,
            "estimated_wh": report.estimated_wh,
        },
        "outcomes": dict(sorted(report.outcomes.items())),
        "left_out": dict(sorted(report.left_out.items())),
        "signals": [
            {
                "kind": signal.kind,
                "from": signal.client.name,
                "received_at": signal.received_wall_at.isoformat(),
                "decided_at": signal.decided_wall_at and signal.decided_wall_at.isoformat(),
                "published_at": signal.published_wall_at and signal.published_wall_at.isoformat(),
            }
            for signal in signals.order_by("received_wall_at")
        ],
        "legs": [
            {
                "leg": leg,
                "name": str(live_board.LEG_WORDS[leg]),
                "assets": assets,
                "median_seconds": round(half, 3),
                "p95_seconds": round(most, 3),
            }
            for leg, assets, half, most in campaigns.queries.leg_seconds(campaign)
        ],
        "draws": [_draw(part) for part in reporting.drawn_parts(campaign).select_related("asset")],
        "measured": None,
        "half_hours": [],
    }
    if run is not None:
        document["measured"] = {
            "run": run.sequence,
            "run_at": run.run_at.isoformat(),
            "baseline": run.rule["title"],
            "terms": str(run.terms),
            "delivered_wh": run.delivered_wh,
            "missing_half_hours": run.missing_half_hours,
            "input_sha256": run.input_sha256,
        }
        document["half_hours"] = [
            {
                "starts_at": starts_at.isoformat(),
                "baseline_wh": each.baseline_wh,
                "metered_wh": each.metered_wh,
                "delivered_wh": each.delivered_wh,
                "homes_read": each.readings,
            }
            for starts_at, each in measured.by_period(run).items()
        ]
    return sealed(document)


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the SHA-256 of itself: of its JSON, keys sorted, without blanks."""
    written = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return {**document, "sha256": hashlib.sha256(written.encode()).hexdigest()}


def as_json(document: Mapping[str, Any]) -> str:
    """The document as it is."""
    return json.dumps(document, indent=2)


def as_csv(document: Mapping[str, Any]) -> str:
    """A row a figure: part, row of it, name, value; what a spreadsheet would run is written as text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["part", "row", "name", "value"])
    for part, row, name, value in _rows(document):
        told = inert(value) if isinstance(value, str) else value
        writer.writerow([part, row, name, "" if told is None else told])
    return out.getvalue()


def as_pdf(campaign: Campaign, document: Mapping[str, Any]) -> bytes:
    """The document on paper; raises PdfUnavailable."""
    return statement_pdf.write(as_html(campaign, document))


def as_html(campaign: Campaign, document: Mapping[str, Any]) -> str:
    """What the PDF is made of, with its style in it."""
    run = settlement.queries.newest_run(campaign.pk)
    report = reporting.event_report(campaign.pk, has_lines=False)
    view = measured.measured_report(campaign) if run is not None else None
    context = {
        "coop": document["coop"],
        "campaign": campaign,
        "when": wording.stretch(campaign.starts_at, campaign.ends_at),
        "where": document["event"]["where"],
        "asked": wording.power(campaign.size_w),
        "status": STATUS_WORDS[document["status"]],
        "figures": measured.figures(report, view),
        "measured": view,
        "legs": live_board.legs(campaign),
        "device_note": live_board.device_note(campaign),
        "draws": draws.rows(reporting.drawn_parts(campaign).select_related("asset__kind")[:DRAWS_ON_PAPER]),
        "draws_note": _draws_note(report, campaign.spread_seconds),
        "signals": document["signals"],
        "outcomes": [(wording.state(code), count) for code, count in sorted(report.outcomes.items())],
        "left_out": report.left_out_reasons,
        "hash": document["sha256"],
        "logo": logos.data_uri(),
        "style": (Path(settings.BASE_DIR) / "static" / statement_pdf.SHEET).read_text(),
    }
    return render_to_string("campaigns/evidence_pdf.html", context)


def file_stem(campaign: Campaign) -> str:
    """What its files are called: the day and the event."""
    return f"event-{wording.day(campaign.starts_at, 'Y-m-d')}-{str(campaign.pk)[:8]}"


def _draw(part: Participation) -> dict[str, Any]:
    """One asset's draw, by its kind alone."""
    draw = reporting.draw_of(part)
    return {
        "kind": part.asset.kind_id,
        "start_delay_seconds": draw.start_delay_seconds,
        "end_delay_seconds": draw.end_delay_seconds,
        "starts_at": draw.starts_at and draw.starts_at.isoformat(),
        "ends_at": draw.ends_at and draw.ends_at.isoformat(),
        "is_called_off": draw.is_called_off,
    }


def _draws_note(report: reporting.EventReport, spread_seconds: int) -> str:
    words = draws.note(report, spread_seconds)
    if report.drawn > DRAWS_ON_PAPER:
        words += " " + _("The first %(some)s are here; the CSV and JSON files have all.") % {
            "some": f"{DRAWS_ON_PAPER:,}"
        }
    return words


def _rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    for part, held in document.items():
        if isinstance(held, Mapping):
            for name, value in held.items():
                yield part, "", name, value
        elif isinstance(held, list):
            for number, each in enumerate(held, start=1):
                for name, value in each.items():
                    yield part, str(number), name, value
        else:
            yield part, "", part, held

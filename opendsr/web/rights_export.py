"""The copy of everything: each room's part as JSON, readings as CSV, and a page that opens offline; one ZIP.

What the copy holds is what the rooms disclose (`disclosing.py` of each); `NOT_DISCLOSED` of all rooms says
what it leaves out and why, and a test over the model registry holds both together.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.template.loader import render_to_string

import assets.disclosing
import campaigns.disclosing
import members.disclosing
import metering.disclosing
import notices.disclosing
import settlement.disclosing
import vtn.models as openadr
from assets.models import Hub
from members.disclosing import Person
from members.models import Member
from opendsr.kernel import clock, installation
from opendsr.kernel.disclosure import Table, plain, table_of
from opendsr.web import usage_page, wording
from opendsr.web.readings import COLUMNS
from vtn.reported import ReportedValue

SHEET: Final = "css/statement-print.css"
READINGS: Final = "readings"
STATES_ON_A_PAGE: Final = 200
HIDDEN: Final = ("id", "pk", "jpeg_base64")
PAGE, DATA, CSV_FILE = "your-data.html", "your-data.json", "readings.csv"
WRITTEN_ON: Final = (1980, 1, 1, 0, 0, 0)

VTN_NOT_DISCLOSED: Final[Mapping[str, str]] = {
    "vtn.EnrolmentCode": "a hash of a one-time code for the hub; nothing about people",
    "vtn.HandOver": "which events have just left, for seconds; it stands on the events then",
    "vtn.MessageLog": "the hubs' wire, kept 90 days to find faults; what it said is in events and reports",
    "vtn.WireLog": "the same table as vtn.MessageLog",
    "vtn.OfferedPoint": "which quantities a hub can report: its software, not the household",
    "vtn.ReportOffer": "which reports a hub can make: its software, not the household",
    "vtn.ReportRequest": "which reports a hub was asked for: the same of every hub",
    "vtn.ReceivedReport": "envelopes of the values that are here",
    "vtn.PromptRun": "trials of a hub's message exchange by staff",
    "vtn.QueuedMessage": "messages on their way to a hub, gone once delivered",
    "vtn.SeenNonce": "hashes that keep messages from being played again",
    "vtn.VenCertificate": "the hub's certificate: the machine's identity, without any person's",
    "vtn.VenGroup": "groups that staff put hubs in for addressing",
    "vtn.VenShadow": "what the hub should be and says it is: its needs are with the devices here",
    "vtn.VenWatch": "the hub's software and manners on the wire",
}


def _openadr(whose: Person) -> Iterator[Table]:
    """What went over the wire to and from the homes' hubs while the household lived there."""
    hubs = Hub.objects.filter(
        whose.in_use_there("home", "commissioned_at", "retired_at"), ven_id__isnull=False
    )
    homes = dict(hubs.values_list("ven_id", "home_id"))
    vens = list(openadr.Ven.objects.filter(ven_id__in=list(homes)))
    yield table_of(vens, model=openadr.Ven, title="Your hubs on the wire", leave_out=("push_url",))

    def during(rows: list[Any], ven_id_of: Callable[[Any], str], at: str) -> list[Any]:
        return [row for row in rows if _lived(whose, homes[ven_id_of(row)], getattr(row, at))]

    events = openadr.Event.objects.filter(ven__in=vens).select_related("ven").order_by("starts_at", "pk")
    kept = during(list(events), lambda row: row.ven.ven_id, "starts_at")
    yield table_of(kept, model=openadr.Event, title="Events as sent to your hubs")
    opts = openadr.EventOpt.objects.filter(event__in=kept).order_by("received_at", "pk")
    yield table_of(opts, model=openadr.EventOpt, title="Your hubs’ answers on the wire")
    schedules = openadr.OptSchedule.objects.filter(ven__in=vens).select_related("ven").order_by("received_at")
    said = during(list(schedules), lambda row: row.ven.ven_id, "received_at")
    yield table_of(said, model=openadr.OptSchedule, title="Times your hubs said they take no part")
    values = ReportedValue.objects.filter(point__offer__ven__in=vens).select_related("point__offer__ven")
    told = during(
        list(values.order_by("starts_at", "pk")), lambda row: row.point.offer.ven.ven_id, "starts_at"
    )
    yield table_of(told, model=ReportedValue, title="What your hubs reported in the last weeks")


def _account(whose: Person) -> Iterator[Table]:
    """What the sign-in keeps, and the audit trail."""
    user_id = whose.member.user_id
    factors = Authenticator.objects.filter(user=user_id) if user_id else Authenticator.objects.none()
    yield table_of(factors, model=Authenticator, title="Second factors of your sign-in", leave_out=("data",))
    signed_in = UserSession.objects.filter(user=user_id) if user_id else UserSession.objects.none()
    yield table_of(
        signed_in, model=UserSession, title="Where you are signed in", leave_out=("session_key", "data")
    )
    yield members.disclosing.audit_table(whose)


ROOMS: Final[Mapping[str, Callable[[Person], Iterator[Table]]]] = {
    "members": members.disclosing.tables,
    "assets": assets.disclosing.tables,
    "metering": metering.disclosing.tables,
    "campaigns": campaigns.disclosing.tables,
    "settlement": settlement.disclosing.tables,
    "notices": notices.disclosing.tables,
    "openadr": _openadr,
    "account": _account,
}
PARTS: Final = (*ROOMS, READINGS)
NOT_DISCLOSED: Final[Mapping[str, str]] = {
    **members.disclosing.NOT_DISCLOSED,
    **assets.disclosing.NOT_DISCLOSED,
    **metering.disclosing.NOT_DISCLOSED,
    **campaigns.disclosing.NOT_DISCLOSED,
    **settlement.disclosing.NOT_DISCLOSED,
    **notices.disclosing.NOT_DISCLOSED,
    **VTN_NOT_DISCLOSED,
    "account.EmailAddress": "empty: the address of a sign-in lies with the account alone",
}


def body_of(part: str) -> Callable[[Member], bytes]:
    """What writes the part for a member."""
    return _readings if part == READINGS else partial(_room, part)


def assemble(parts: Mapping[str, bytes], *, at: datetime | None = None) -> bytes:
    """The ZIP of the parts: a page to read, JSON for machines, readings as CSV."""
    at = at or clock.now()
    rooms = {name: json.loads(parts[name]) for name in ROOMS}
    readings = parts[READINGS]
    left_out = dict(sorted(NOT_DISCLOSED.items()))
    coop = installation.current().coop_name
    number = next(iter(rooms["members"]["tables"]))["rows"][0]["number"]
    data = {
        "coop": coop,
        "member": number,
        "made_at": at.isoformat(),
        "rooms": {name: room["tables"] for name, room in rooms.items()},
        "readings": {"file": CSV_FILE, "rows": max(0, readings.count(b"\n") - 1)},
        "left_out": left_out,
    }
    page = render_to_string(
        "members/export_page.html",
        {
            "coop": coop,
            "number": number,
            "made": wording.moment(at),
            "tables": [_shown(table) for room in rooms.values() for table in room["tables"]],
            "readings": data["readings"]["rows"],
            "left_out": left_out,
            "style": (settings.BASE_DIR / "static" / SHEET).read_text(),
        },
    )
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name, content in (
            (PAGE, page.encode()),
            (DATA, json.dumps(data, indent=1, ensure_ascii=False).encode()),
            (CSV_FILE, readings),
        ):
            entry = zipfile.ZipInfo(name, WRITTEN_ON)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content)
    return held.getvalue()


def _room(name: str, member: Member) -> bytes:
    tables = ROOMS[name](members.disclosing.person(member))
    return json.dumps({"tables": [table.as_json() for table in tables]}, default=plain).encode()


def _readings(member: Member) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in usage_page.file_rows(member):
        writer.writerow(row)
    return out.getvalue().encode("utf-8-sig")


def _lived(whose: Person, home_id: object, at: datetime) -> bool:
    return any(stay.home_id == home_id and stay.is_current(at) for stay in whose.stays)


def _shown(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table for the page: without ids, which only machines read, and not longer than anybody would read."""
    columns = [
        name
        for name in table["columns"]
        if name not in HIDDEN and not name.endswith(("_id", "_ids", "sha256"))
    ]
    rows = table["rows"]
    return {
        "title": table["title"],
        "columns": [name.replace("_", " ") for name in columns],
        "rows": [[_words(row[name]) for name in columns] for row in rows[:STATES_ON_A_PAGE]],
        "count": len(rows),
        "more": max(0, len(rows) - STATES_ON_A_PAGE),
    }


def _words(value: Any) -> str:
    if value is None or value == "":
        return wording.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)

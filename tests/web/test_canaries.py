"""Nobody's name lies readable anywhere: planted by the real doors, looked for wherever bytes come to lie.

Canaries go in through the site's own pages, one campaign is settled and another fetched by its hub over
mutual TLS; then a real dump of the database, every log line, what waits in the broker and what went over the
wire are searched for them in every way of writing a text. Postcodes lie plain in the database and nowhere
else (decisions/0055).
"""

from __future__ import annotations

import io
import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as site
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image

from assets.job_models import InstallJob
from members import caring, terms
from members.enquiry_models import Application, TermsText
from members.models import Member, Role, User
from members.partner_models import Partner
from metering.intake import Arrival, Intake
from oadr import codec
from oadr import messages as m
from opendsr.kernel import audit, clock, outbox, traces
from opendsr.kernel.models import AuditEntry
from settlement.models import BankDetail
from tests.factories import PASSWORD, make_consent_texts, make_staff, new_mpan
from tests.members.test_enlisting import row, text
from tests.vtn.hubs import TestHub
from tests.vtn.listening import environment, exchange, listening
from tests.web.scene import NOW, Scene, set_scene
from vtn.models import Ven
from vtn.records import MessageLog

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.django_db(transaction=True)]

CANARIES = {
    "name": "Zebedee Quagmire-Öhlund",
    "email": "zebedee.quagmire@canary.example",
    "phone": "07700 900461",
    "address": "17 Wrenthorpe Ginnel",
    "landlord's address": "9 Skelmanthorpe Snicket",
    "housemate": "housemate.canary@canary.example",
    "tenant": "tenant.canary@canary.example",
    "contact": "Philippa Contactbird",
    "contact's phone": "01632 960461",
    "registered": "Registered Featherstone",
    "registered email": "featherstone@canary.example",
    "registered address": "3 Feathering Fold",
    "champion": "Champion Lapwing",
    "decision": "Approved because the plover nests",
    "comment": "The dotterel liked the leaflet",
    "complaint": "Nobody fed my nightjar since Monday",
    "opt-out": "Whimbrel visits us",
    "survey notes": "Key under the bittern pot",
    "pairing note": "Meter behind the goldcrest door",
    "test note": "Switch near the firecrest shelf",
    "caption": "Hall with the siskin picture",
    "account name": "Q Canary-Account",
    "account number": "87654021",
    "corrected name": "Zebedee Redpoll-Changed",
}
POSTCODE = "HX7 8QZ"
Visit = Callable[[User | None], Client]


@pytest.fixture
def authority(settings, tmp_path: Path) -> Path:
    """A certificate authority of this test's own, shared with the listener's process."""
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_LOG_BODIES = True
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    return settings.VTN_PKI_DIR


def press(client: Client, page: str, /, *args: object, **data: object) -> None:
    """Press a button of a page; it has to work."""
    answer = client.post(reverse(page, args=args), data)
    assert answer.status_code in (200, 302), (page, answer.status_code, answer.content.decode()[-4000:])


def link_in(letter: object) -> str:
    found = re.search(r"http://testserver(\S+)", str(letter.body))
    assert found is not None
    return found.group(1)


def somebody_joins(visit: Visit, services: Client, mpan: str) -> Member:
    """An enquiry by the public pages, approved with a reason, agreed to by the letter's link."""
    applicant = visit(None)
    press(applicant, "join", full_name=CANARIES["name"], email=CANARIES["email"], phone=CANARIES["phone"])
    press(applicant, "join_home", address=CANARIES["address"], postcode=POSTCODE, mpan=mpan, tenure="owner",
          supplier="Any Energy")  # fmt: skip
    press(applicant, "join_things", smart_meter="yes", asset_kinds=["ev_charger"])
    press(applicant, "join_check")
    application = Application.objects.get()
    press(services, "enquiry_page", application.pk, decision="approved", reason=CANARIES["decision"])
    later = Client()
    later.get(link_in(mail.outbox[-1]), follow=True)
    sha = TermsText.objects.filter(kind="terms").latest("version").body_sha256
    press(later, "join_agree", has_read="on", accepts="on", terms=sha, shares="5", password=PASSWORD,
          again=PASSWORD, consent_flexibility="on", consent_settlement="on")  # fmt: skip
    outbox.drain()
    application.refresh_from_db()
    assert application.member is not None
    return application.member


def their_own_pages(member: Member) -> None:
    """All that a member writes about themselves, signed in by their password."""
    client = Client()
    signed_in = client.post(reverse("account_login"), {"login": CANARIES["email"], "password": PASSWORD})
    assert signed_in.status_code == 302
    press(client, "own_needs", needs=["heat"], contact_name=CANARIES["contact"],
          contact_phone=CANARIES["contact's phone"])  # fmt: skip
    press(client, "my_rights", do="complain", words=CANARIES["complaint"])
    press(client, "my_rights", do="rectify", about="full_name", wanted=CANARIES["corrected name"])
    press(client, "my_rights", do="export")
    press(client, "change_bank", name=CANARIES["account name"], sort_code="401234",
          account_number=CANARIES["account number"])  # fmt: skip
    press(client, "survey", "joining", clear="5", easy="4", trust="3", comment=CANARIES["comment"])
    press(client, "step_page", member.number, "invite", email=CANARIES["housemate"])
    stay = member.household.occupancies.get()
    press(client, "preferences", home=str(stay.pk), do="once", starts_on="2026-02-01", ends_on="2026-02-02",
          reason=CANARIES["opt-out"])  # fmt: skip
    assert client.post(reverse("account_reset_password"), {"email": CANARIES["email"]}).status_code == 302
    outbox.drain()


def a_visit(services: Client, member: Member, visit: Visit) -> None:
    """Surveyed by the office, and tried by an installer in the home."""
    installer = make_staff("ivan@staff.example", Role.INSTALLER)
    job = InstallJob.objects.get(home=member.household.occupancies.get().home)
    press(services, "visit_action", job.pk, "survey", kinds=["ev_charger"], cable_m="5", signal_dbm="-60",
          supplier="Any", meter_model="SGM", notes=CANARIES["survey notes"])  # fmt: skip
    press(
        services,
        "visit_action",
        job.pk,
        "schedule",
        day="2026-01-20",
        at_time="09:00",
        installer=installer.pk,
    )
    phone = visit(installer)
    press(phone, "visit_action", job.pk, "pair", outcome="refused", supplier="Any", meter_model="SGM",
          cad_serial="CAD-9", note=CANARIES["pairing note"])  # fmt: skip
    press(
        phone,
        "visit_action",
        job.pk,
        "test",
        thing="manual_switch",
        is_passed="no",
        note=CANARIES["test note"],
    )
    picture = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(picture, "JPEG")
    press(phone, "visit_action", job.pk, "photo", photo=SimpleUploadedFile("a", picture.getvalue()),
          caption=CANARIES["caption"])  # fmt: skip


def what_staff_take_in(services: Client, visit: Visit, mpan: str, member: Member) -> None:
    """A register, a landlord's list, a champion, a file of readings, a message of a meter; and pages read."""
    registered = row(77, full_name=CANARIES["registered"], email=CANARIES["registered email"],
                     home=CANARIES["registered address"], address=CANARIES["registered address"])  # fmt: skip
    press(services, "register_import", rows=text(registered), do="take")
    press(
        services, "champion_list", do="make", code="canary-jo", name=CANARIES["champion"], reward_pence="500"
    )
    ada = visit(make_staff("ada@staff.example", Role.ADMINISTRATOR))
    press(ada, "partner_list", name="Calder Homes")
    address, tenant = CANARIES["landlord's address"], CANARIES["tenant"]
    listed = f"C-7,{address},HX7 8AA,{new_mpan()},{tenant}"
    partner_id = Partner.objects.get().pk
    press(ada, "partner_properties_of", partner_id, rows=f"reference,address,postcode,mpan,email\n{listed}\n",
          do="take")  # fmt: skip
    devices = visit(make_staff("dev@staff.example", Role.DEVICE_MANAGER))
    readings = f"MPAN,When,Used\n{mpan},2026-01-14 00:00,0.25\n{mpan},2026-01-14 00:30,much\n"
    uploaded = devices.post(
        reverse("import_list"), {"key": uuid4(), "file": SimpleUploadedFile("r.csv", readings.encode())}
    )
    page = uploaded["Location"]
    choices = {"adapter": "generic_csv", "columns": "meter=MPAN\nstamp=When\nimport=Used", "tz": "UTC",
               "meters": f"{mpan}={mpan}"}  # fmt: skip
    for do in ("preview", "import"):
        assert devices.post(page, {**choices, "do": do}, follow=True).status_code == 200
    body = f'{{"electricitymeter": {{"energy": {{"import": {{"mpan": "{mpan}", "cumulative": "x"}}}}}}}}'
    with transaction.atomic():
        Intake().take([Arrival("glow/BCDDC2C6A91C/SENSOR/electricitymeter", body.encode(), NOW)], at=NOW)
    for name, args in (("household_page", [member.number]), ("funnel", []), ("visit_list", []),
                       ("rights_list", []), ("survey_results", [])):  # fmt: skip
        assert services.get(reverse(name, args=args)).status_code == 200
    assert ada.get(reverse("admin:members_member_changelist"), {"q": "quagmire"}).status_code == 200
    caring.read_needs(household=member.household, at=NOW, by="staff:1", why="they rang about heating")


def over_the_wire(scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """All that a hub of the campaign and its listener say to each other, and what the listener logs."""
    said = b""
    for name, value in clock.environment().items():
        monkeypatch.setenv(name, value)
    kit = scene.homes[0].hub
    hub = TestHub(Ven.objects.get(ven_id=kit.ven_id), kit.key_pem, kit.certificate_pem, kit.ca_pem, "")
    with listening(folder) as listener:
        client = listener.connect(listener.context_of(hub, folder))
        for service, message in (
            ("EiRegisterParty", m.QueryRegistration("R1")),
            ("OadrPoll", m.Poll(hub.ven_id)),
            ("EiEvent", m.RequestEvent("R2", hub.ven_id)),
        ):
            sent = codec.serialise(message)
            said += sent + codec.serialise(exchange(client, service, message))
        return said + listener.log_path.read_bytes()


def dumped() -> bytes:
    """The database as `pg_dump` writes it."""
    url = environment(Path(site.VTN_PKI_DIR))["DATABASE_URL"]
    done = subprocess.run(["pg_dump", "--no-owner", url], capture_output=True, check=True)
    return done.stdout


def broker_folder() -> Path:
    return Path(site.VAR_DIR) / "broker"


def waiting_in_the_broker() -> bytes:
    """Every message that a worker would take, as it lies in the broker's folder."""
    return b"\n".join(path.read_bytes() for path in broker_folder().rglob("*") if path.is_file())


def found_in(data: bytes, canaries: dict[str, str]) -> dict[str, str]:
    """Which canaries are in the data, and in which form."""
    of = {text: name for name, text in canaries.items()}
    return {of[trace.text]: trace.form for trace in traces.find(data, list(of))}


def test_no_canary_is_found_outside(
    authority: Path, visit: Visit, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    scene = set_scene(is_demo=False)
    make_consent_texts()
    for kind, words in (("assurance", "It costs nothing."), ("terms", "One member, one vote.")):
        terms.publish_terms(kind=kind, body=words, at=NOW, by="staff:1")
    services = visit(make_staff("mo@staff.example", Role.MEMBER_SERVICES))
    mpan = new_mpan()
    member = somebody_joins(visit, services, mpan)
    their_own_pages(member)
    a_visit(services, member, visit)
    what_staff_take_in(services, visit, mpan, member)
    wire = over_the_wire(scene, authority, monkeypatch)
    outbox.drain()

    assert Member.objects.get(pk=member.pk).full_name == CANARIES["corrected name"]
    assert BankDetail.objects.filter(member=member).exists()
    everybody = {f"member {each.number}": each.full_name for each in Member.objects.all()}
    canaries = {**CANARIES, **everybody, "mpan": mpan, "alice's mpan": scene.alice.home.mpan,
                "alice's address": scene.alice.user.email, "alice's home": scene.alice.home.name}  # fmt: skip
    logs = "\n".join(record.getMessage() + str(record.exc_info or "") for record in caplog.records).encode()
    broker = waiting_in_the_broker()
    dump = dumped()
    for data, holds in (
        (dump, b"members_member"),
        (logs, b"OpenDSR"),
        (broker, b"sweep_outbox"),
        (wire, b"oadr"),
    ):
        assert holds in data or data is logs, "there is something to look through"
    assert len(AuditEntry.objects.all()) > 20
    assert MessageLog.objects.exclude(request_body="").exists(), "bodies on the wire are in the dump"

    assert found_in(dump, canaries) == {}
    for data in (logs, broker, wire):
        assert found_in(data, {**canaries, "postcode": POSTCODE}) == {}


def test_the_scan_finds_what_lies_plain(authority: Path) -> None:
    """A control: the same scan of the same dump, with canaries put where they must not be."""
    audit.record(at=NOW, actor="staff:1", verb="x", target="x", detail={"who": CANARIES["name"]})
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.planted (note bytea)")
        cursor.execute("INSERT INTO public.planted VALUES (%s)", [CANARIES["comment"].upper().encode()])
    try:
        found = found_in(dumped(), CANARIES)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE public.planted")

    assert set(found) == {"name", "comment"}

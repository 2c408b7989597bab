"""The registry of homes, its map and catalogue: what staff find, see, change and take out, and strangers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from assets import cataloguing, fitting, measures, servicing
from assets.models import Asset, Hub
from assets.registry_models import HomeMeasure, HubSpell, Meter, Product, RelayCount
from members import partnering
from members.models import Role
from metering.models import MissingDay
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.factories import HubKit, make_asset_kinds, make_home, make_hub, make_resident, make_staff
from tests.web.pages import Seen, seen
from vtn.models import Ven

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
Visit = Callable[[object], Client]


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_asset_kinds()


@pytest.fixture
def dev(visit: Visit) -> Client:
    return visit(make_staff("dev@example.org", Role.DEVICE_MANAGER))


@pytest.fixture
def kit() -> HubKit:
    home = make_home(
        name="4 Weir Lane", postcode="OL14 5AB", gsp_group="G", primary_substation="Todmorden", cmz="CMZ-1"
    )
    kit = make_hub(home, at=AT, kinds=("ev_charger", "immersion_heater"))
    heard(kit)
    return kit


def heard(kit: HubKit, *, minutes_ago: int = 1) -> None:
    since = clock.wall_now() - timedelta(minutes=minutes_ago)
    Ven.objects.filter(ven_id=kit.ven_id).update(last_seen_wall_at=since)


def product(**more: object) -> Product:
    values = {"category": "asset", "kind_id": "immersion_heater", "make": "Shelly", "model": "1PM", **more}
    return cataloguing.save_product(
        product_id=None, values={"is_offered": True, **values}, at=AT, by="staff:1"
    )


def found(client: Client, **query: str) -> Seen:
    return seen(client.get(reverse("home_list"), query))


class TestFinding:
    def test_each_way_of_narrowing_finds_the_one_and_not_the_other(self, dev, kit):
        other = make_home(name="9 Mill Row", postcode="M15 5RF", gsp_group="N", primary_substation="Leith")
        tank = product()
        Asset.objects.filter(pk=kit.assets[1].pk).update(product=tank)
        Hub.objects.filter(pk=kit.hub.pk).update(firmware="1.4.0")
        fitting.fit_cad(home=kit.hub.home, serial="CAD-77", at=AT, by="staff:1")
        fitting.fit_meter(home=kit.hub.home, serial="MET-88", at=AT, by="staff:1")
        partner = partnering.make_partner(name="Calder Homes", at=AT, by="staff:1")
        _link(partner, kit)
        measures.add_measure(
            home=kit.hub.home, kind="solar", done_on=date(2025, 1, 1), installer="", note="", at=AT, by="x"
        )
        queries = [
            {"q": kit.hub.serial},
            {"q": "CAD-77"},
            {"q": "met-88"},
            {"q": kit.assets[0].resource_id},
            {"q": "weir lane"},
            {"q": "ol14"},
            {"kind": "ev_charger"},
            {"product": str(tank.pk)},
            {"state": "commissioned"},
            {"health": "well"},
            {"gsp_group": "G"},
            {"substation": "Todmorden"},
            {"cmz": "CMZ-1"},
            {"area": "ol"},
            {"partner": str(partner.pk)},
            {"partner": "any"},
            {"firmware": "1.4.0"},
            {"measure": "solar"},
            {"gsp_group": "G", "kind": "ev_charger", "health": "well", "area": "OL"},
        ]
        for query in queries:
            text = found(dev, **query).text()
            assert "4 Weir Lane" in text, query
            assert "9 Mill Row" not in text, query
        for query in ({"partner": "none"}, {"health": "no_hub"}, {"q": "M15 5RF"}, {"substation": "Leith"}):
            text = found(dev, **query).text()
            assert "9 Mill Row" in text, query
            assert "4 Weir Lane" not in text, query
        assert other.pk

    @pytest.mark.parametrize(
        ("spoil", "health", "words"),
        [
            (lambda kit: heard(kit, minutes_ago=31), "silent", "silent"),
            (lambda kit: servicing.report_fault(asset_id=kit.assets[0].pk, at=AT, by="x"), "faulty", "fault"),
            (lambda kit: _wear(kit, 2_400), "worn", "relay worn"),
            (lambda kit: _age(kit, 8 * 366), "worn", "relay worn"),
            (lambda kit: _run(kit, "14.1"), "outdated", "other software"),
            (lambda kit: None, "no_cad", "no CAD"),
        ],
    )
    def test_health_is_found_as_it_is_shown(self, dev, kit, spoil, health, words):
        if health != "no_cad":
            fitting.fit_cad(home=kit.hub.home, serial="CAD-1", at=AT, by="x")
            assert "4 Weir Lane" not in found(dev, health=health).text()
            assert "4 Weir Lane" in found(dev, health="well").text()
        spoil(kit)
        page = found(dev, health=health)
        assert "4 Weir Lane" in page.text()
        assert words in [each.text for each in page.tree.xpath("//td/span[contains(@class,'tag')]")]
        assert "4 Weir Lane" not in found(dev, health="well").text()

    def test_a_relay_is_worn_by_its_own_models_life(self, dev, kit):
        _wear(kit, 2_400)
        Asset.objects.update(product=product(relay_life_cycles=None, relay_life_years=None))
        assert "4 Weir Lane" not in found(dev, health="worn").text()
        Asset.objects.update(product=product(model="2", relay_life_cycles=2_900))
        assert "4 Weir Lane" in found(dev, health="worn").text()

    def test_odd_input_finds_nothing_and_breaks_nothing(self, dev, kit):
        for query in (
            {"q": HOSTILE},
            {"q": "' OR 1=1 --"},
            {"substation": HOSTILE},
            {"cmz": "%"},
            {"firmware": "_"},
        ):
            answer = dev.get(reverse("home_list"), query)
            assert answer.status_code == 200
            assert seen(answer).faults() == []
            assert "No home fits." in seen(answer).text()
            assert HOSTILE not in answer.content.decode()
        for query in (
            {"product": "x"},
            {"partner": "x"},
            {"area": "123"},
            {"gsp_group": "I"},
            {"q": "x" * 81},
        ):
            assert dev.get(reverse("home_list"), query).status_code == 422
        for query in ({"page": "x"}, {"page": "-3"}):
            assert dev.get(reverse("home_list"), query).status_code == 200

    def test_an_empty_registry_says_how_it_fills(self, dev):
        page = found(dev)
        assert page.faults() == []
        assert "No home yet." in page.text()

    def test_a_page_of_many_homes_is_a_few_statements(self, dev, kit, django_assert_max_num_queries):
        for number in range(60):
            make_hub(make_home(name=f"{number} Bulk Way"), at=AT, through_vtn=False)
        for query in ({}, {"q": "bulk way"}, {"health": "silent"}, {"kind": "ev_charger", "page": "2"}):
            with django_assert_max_num_queries(23):
                page = seen(dev.get(reverse("home_list"), query))
            assert len(page.tree.xpath("//tbody/tr")) in (10, 11, 50)


class TestFiles:
    def test_many_homes_are_a_few_statements(self, dev, kit, django_assert_max_num_queries):
        for number in range(30):
            make_home(name=f"{number} Bulk Way")
        with django_assert_max_num_queries(23):
            answer = dev.get(reverse("home_export", args=["csv"]))
            text = b"".join(answer.streaming_content).decode("utf-8-sig")
        assert text.count("Bulk Way") == 30

    def test_csv_and_workbook_say_the_same_and_it_is_noted(self, dev, kit):
        _wear(kit, 1_500)
        answer = dev.get(reverse("home_export", args=["csv"]), {"gsp_group": "G"})
        text = b"".join(answer.streaming_content).decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["name"] == "4 Weir Lane"
        assert (row["hub"], row["assets"], row["rated_w"]) == (kit.hub.serial, "2", "10360")
        assert row["relay_life_used_pct"] == "50"
        assert row["health"] == "no_cad"
        book = dev.get(reverse("home_export", args=["xlsx"]))
        package = zipfile.ZipFile(io.BytesIO(b"".join(book.streaming_content)))
        sheet = package.read("xl/worksheets/sheet1.xml").decode()
        assert "4 Weir Lane" in sheet
        assert kit.hub.serial in sheet
        noted = AuditEntry.objects.filter(verb="registry.exported").order_by("pk")
        assert [each.detail["form"] for each in noted] == ["csv", "xlsx"]
        assert "GSP group" in noted[0].detail["chosen"]

    def test_no_cell_is_a_formula(self, dev):
        make_home(name="=HYPERLINK(1)", primary_substation="@SUM(1)")
        answer = dev.get(reverse("home_export", args=["csv"]))
        text = b"".join(answer.streaming_content).decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["name"] == "'=HYPERLINK(1)"
        assert row["primary_substation"] == "'@SUM(1)"

    def test_who_may_not_see_names_gets_none(self, visit, kit):
        auditor = visit(make_staff("audit@example.org", Role.AUDITOR))
        for form in ("csv", "xlsx"):
            answer = auditor.get(reverse("home_export", args=[form]), {"q": "weir"})
            body = b"".join(answer.streaming_content)
            if form == "xlsx":
                body = zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml")
            assert b"Weir" not in body
            assert b"OL14 5AB" not in body
            assert b"OL14" in body
        assert "weir" not in str(AuditEntry.objects.filter(verb="registry.exported").first().detail)

    def test_another_form_is_none(self, dev):
        assert dev.get(reverse("home_export", args=["pdf"])).status_code == 404


class TestOneHome:
    def test_everything_of_it_is_there(self, dev, kit):
        _wear(kit, 2_700)
        page = seen(dev.get(reverse("home_page", args=[kit.hub.home_id])))
        assert page.faults() == []
        text = page.text()
        for words in ("OL14 5AB", "North West England", "Todmorden", "CMZ-1", kit.hub.serial, "2,700 cycles"):
            assert words in text
        assert "90 % of its life used" in text
        assert kit.hub.home.mpan not in text

    def test_a_meter_and_a_cad_are_fitted_and_replaced(self, dev, kit):
        for verb, serials in (("meter", ("M-1", "M-2")), ("cad", ("C-1", "C-2"))):
            url = reverse("home_action", args=[kit.hub.home_id, verb])
            for serial in serials:
                assert dev.post(url, {"serial": serial}).status_code == 302
            for wrong in ("", "\x00", "x" * 41, serials[0]):
                answer = dev.post(url, {"serial": wrong})
                assert answer.status_code == 422
                assert seen(answer).faults() == []
            assert dev.post(url, {"serial": "Z", "product": str(uuid4())}).status_code == 422
        text = seen(dev.get(reverse("home_page", args=[kit.hub.home_id]))).text()
        for words in ("M-2 fitted, in the place of M-1", "M-1 replaced by M-2", "C-1 replaced by C-2"):
            assert words in text
        assert Meter.objects.filter(removed_at=None).get().serial == "M-2"

    def test_an_asset_is_named_and_replaced(self, dev, kit):
        tank, home = kit.assets[1], kit.hub.home_id
        model, car = product(), product(kind_id="ev_charger", model="Wallbox")
        sent = {"asset": str(tank.pk), "product": str(model.pk)}
        dev.post(reverse("home_action", args=[home, "name-asset"]), sent)
        assert Asset.objects.get(pk=tank.pk).product == model
        dev.post(reverse("home_action", args=[home, "replace-asset"]), sent)
        assert Asset.objects.get(replaces=tank).product == model
        wrong = {"asset": str(kit.assets[0].pk), "product": str(model.pk)}
        answer = dev.post(reverse("home_action", args=[home, "replace-asset"]), wrong)
        assert answer.status_code == 422
        assert "another kind" in seen(answer).text()
        assert car.pk
        strange = make_hub(make_home(), at=AT).assets[0]
        for odd in (str(strange.pk), str(uuid4())):
            sent = {"asset": odd, "product": ""}
            assert dev.post(reverse("home_action", args=[home, "name-asset"]), sent).status_code == 404
        assert dev.post(reverse("home_action", args=[home, "name-asset"]), {"asset": "x"}).status_code == 422

    def test_measures_are_noted_taken_back_and_put_back(self, dev, kit):
        home = kit.hub.home_id
        url = reverse("home_action", args=[home, "add-measure"])
        sent = {"kind": "solar", "done_on": "2025-05-01", "installer": HOSTILE, "note": "Roof faces south"}
        assert dev.post(url, sent).status_code == 302
        measure = HomeMeasure.objects.get()
        page = dev.get(reverse("home_page", args=[home]))
        assert HOSTILE not in page.content.decode()
        assert "Roof faces south" in seen(page).text()
        with pytest.raises(Exception, match="sealed"):
            HomeMeasure.objects.filter(note="Roof faces south").exists()
        for wrong in (
            {"kind": "toaster"},
            {"done_on": "2027-01-01"},
            {"done_on": ""},
            {"ended_on": "2025-04-30"},
            {"note": "x" * 501},
            {"installer": "a\x00b"},
        ):
            answer = dev.post(url, {**sent, **wrong})
            assert answer.status_code == 422, wrong
            assert seen(answer).faults() == []
        for verb, is_removed in (
            ("remove-measure", True),
            ("remove-measure", True),
            ("restore-measure", False),
        ):
            dev.post(reverse("home_action", args=[home, verb]), {"measure": str(measure.pk)})
            measure.refresh_from_db()
            assert (measure.removed_at is not None) is is_removed
        for odd in ("", "x", str(uuid4())):
            answer = dev.post(reverse("home_action", args=[home, "remove-measure"]), {"measure": odd})
            assert answer.status_code == 404

    def test_notes_of_a_stay_go_when_the_household_is_erased(self, dev):
        resident = make_resident("Alice Archer", at=AT - timedelta(days=30))
        measures.add_measure(
            home=resident.home,
            kind="other",
            done_on=date(2026, 4, 1),
            installer="",
            note="Alice is away in May",
            at=AT,
            by="x",
        )
        assert measures.forget_notes(occupancy_ids=[resident.occupancy.pk]) == 1
        assert HomeMeasure.objects.get().note == ""


class TestCauses:
    def test_why_readings_are_missing_is_told_of_a_home_and_of_all(self, dev, visit):
        joined = AT - timedelta(days=30)
        resident = make_resident("Alice Archer", at=joined)
        kit = make_hub(resident.home, at=joined, through_vtn=False)
        HubSpell.objects.create(
            hub=kit.hub, cause="no_lan", starts_at=AT - timedelta(days=2), ends_at=AT - timedelta(days=1)
        )
        HubSpell.objects.create(hub=kit.hub, cause="away", resource_id="esa-x", starts_at=AT)
        page = seen(dev.get(reverse("home_page", args=[resident.home.pk])))
        assert page.faults() == []
        days = {row[0]: row[1:] for row in page.cells("causes")}
        assert days["Sun 5 Apr 2026"] == ["48", "0", "0", "26", "0", "0", "0", "0", "22"]
        assert "had no network in the home" in page.text()
        assert "could not reach a device esa-x" in page.text()
        empty = seen(dev.get(reverse("data_health")))
        assert "No missing half-hour counted yet" in empty.text()
        MissingDay.objects.create(day=date(2026, 4, 2), cause="power", half_hours=1_234)
        board = seen(dev.get(reverse("data_health")))
        assert board.faults() == []
        assert board.cells("causes") == [["Thu 2 Apr 2026", "1,234", "1,234", *["0"] * 7]]
        stay = reverse("home_readings", args=[resident.occupancy.pk])
        assert (
            seen(dev.post(stay, {"why": "your readings stopped"})).cells("causes")[0][0] == "Sun 5 Apr 2026"
        )


class TestMap:
    def test_places_are_counted_and_lead_on(self, dev, kit):
        for _ in range(2):
            make_home(gsp_group="N", postcode="EH1 1AA")
        page = seen(dev.get(reverse("place_map")))
        assert page.faults() == []
        assert [row[:3] for row in page.cells("places")] == [
            ["G – North West England", "1", "1"],
            ["N – South Scotland", "2", "0"],
        ]
        assert len(page.tree.xpath("//*[local-name()='svg'][@class='tiles']/a")) == 14
        for level, names in (
            ("substation", ["Todmorden", "not on record"]),
            ("cmz", ["CMZ-1", "not on record"]),
            ("area", ["EH", "OL"]),
        ):
            inner = seen(dev.get(reverse("place_map"), {"level": level}))
            assert inner.faults() == []
            assert [row[0] for row in inner.cells("places")] == names
        inside = seen(dev.get(reverse("place_map"), {"level": "area", "gsp_group": "N"}))
        assert [row[:2] for row in inside.cells("places")] == [["EH", "2"]]

    def test_controllable_now_is_consented_in_service_and_heard(self, dev):
        def told() -> str:
            rows = seen(dev.get(reverse("place_map"))).cells("places")
            return rows[0][5]

        willing = make_resident(at=AT)
        kit = make_hub(willing.home, at=AT, kinds=("ev_charger",))
        unasked = make_hub(make_resident(at=AT, consents=()).home, at=AT)
        heard(kit)
        heard(unasked)
        assert told() == "2.00 kW"
        servicing.report_fault(asset_id=kit.assets[0].pk, at=AT, by="x")
        assert told() == "0.00 kW"
        servicing.clear_fault(asset_id=kit.assets[0].pk, at=AT, by="x")
        heard(kit, minutes_ago=31)
        assert told() == "0.00 kW"

    def test_odd_levels_are_the_first(self, dev):
        for query in ({"level": HOSTILE}, {"gsp_group": HOSTILE}, {"level": "cmz", "gsp_group": "I"}):
            answer = dev.get(reverse("place_map"), query)
            assert answer.status_code == 200
            assert HOSTILE not in answer.content.decode()


class TestCatalogue:
    def test_a_model_is_added_changed_and_its_history_read(self, dev):
        empty = seen(dev.get(reverse("product_list")))
        assert "The catalogue is empty" in empty.text()
        assert seen(dev.get(reverse("product_new"))).faults() == []
        sent = {
            "category": "asset",
            "kind": "immersion_heater",
            "make": "Shelly",
            "model": HOSTILE,
            "rated_w": "3680",
            "relay_life_cycles": "3000",
            "relay_life_years": "10",
            "siting": "Not in a bathroom",
            "is_offered": "on",
        }
        assert dev.post(reverse("product_new"), sent).status_code == 302
        model = Product.objects.get()
        page = dev.get(reverse("product_page", args=[model.pk]))
        assert seen(page).faults() == []
        assert HOSTILE not in page.content.decode()
        dev.post(reverse("product_page", args=[model.pk]), {**sent, "weight_g": "43"})
        assert "Weight (g): – → 43" in seen(dev.get(reverse("product_page", args=[model.pk]))).text()
        assert seen(dev.get(reverse("product_list"))).faults() == []
        for wrong in ({"rated_w": "-1"}, {"rated_w": "x"}, {"kind": ""}, {"phases": "2"}, {"make": "\x00"}):
            answer = dev.post(reverse("product_page", args=[model.pk]), {**sent, **wrong})
            assert answer.status_code == 422, wrong
        assert dev.post(reverse("product_new"), sent).status_code == 422
        assert dev.get(reverse("product_page", args=[uuid4()])).status_code == 404


def test_strangers_and_who_may_look_only(visit, kit):
    model = product()
    home = kit.hub.home_id
    pages = [
        reverse("home_list"),
        reverse("home_export", args=["csv"]),
        reverse("place_map"),
        reverse("home_page", args=[home]),
        reverse("product_list"),
        reverse("product_page", args=[model.pk]),
    ]
    presses = [
        reverse("home_action", args=[home, verb])
        for verb in ("meter", "cad", "name-asset", "replace-asset", "add-measure", "remove-measure")
    ]
    presses += [reverse("product_page", args=[model.pk]), reverse("product_new")]
    member = visit(make_resident("Alice Archer", at=AT, email="alice@example.org").user)
    money = visit(make_staff("fay@example.org", Role.FINANCE))
    installer = visit(make_staff("ian@example.org", Role.INSTALLER))
    for client, status in ((member, 403), (money, 403), (installer, 403), (visit(None), 302)):
        for url in pages:
            answer = client.get(url)
            assert answer.status_code == status, url
            assert b"Weir" not in b"".join(answer)
        for url in presses:
            assert client.post(url, {"serial": "X"}).status_code == status, url
    auditor = visit(make_staff("audit@example.org", Role.AUDITOR))
    for url in pages:
        answer = auditor.get(url)
        assert answer.status_code == 200
        if not answer.streaming:
            assert not seen(answer).tree.xpath("//main//form[@method='post']")
    for url in presses:
        assert auditor.post(url, {"serial": "X"}).status_code == 403
    assert auditor.get(reverse("home_page", args=[uuid4()])).status_code == 404
    services = visit(make_staff("mel@example.org", Role.MEMBER_SERVICES))
    assert services.post(presses[0], {"serial": "X"}).status_code == 403
    sent = {"kind": "tariff_advice", "done_on": "2026-04-01"}
    assert services.post(reverse("home_action", args=[home, "add-measure"]), sent).status_code == 302
    assert not Meter.objects.exists()
    dev = visit(make_staff("dee@example.org", Role.DEVICE_MANAGER))
    assert dev.post(reverse("home_action", args=[home, "nonsense"])).status_code == 404
    assert dev.get(reverse("home_action", args=[home, "meter"])).status_code == 405


def _wear(kit: HubKit, cycles: int) -> None:
    RelayCount.objects.create(
        asset=kit.assets[0],
        cycles=cycles,
        told=cycles,
        told_by=kit.ven_id,
        counted_from_at=AT,
        told_at=AT,
    )


def _age(kit: HubKit, days: int) -> None:
    Asset.objects.filter(pk=kit.assets[0].pk).update(installed_at=AT - timedelta(days=days))


def _run(kit: HubKit, version: str) -> None:
    Asset.objects.filter(pk=kit.assets[1].pk).update(product=product(firmware="14.2"), firmware=version)


def _link(partner: object, kit: HubKit) -> None:
    from members.partner_models import PartnerHome

    PartnerHome.objects.create(partner=partner, home=kit.hub.home, starts_on=date(2025, 1, 1))

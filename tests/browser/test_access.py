"""Everybody can use it: WCAG 2.2 A and AA by axe-core, light and dark, from the narrowest phone to a desk."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from assets import jobs
from assets.models import Asset
from members import applying, asking, inviting, partnering, terms
from members.draft_terms import DRAFTS
from members.models import Role, User
from notices import choosing, links
from notices.models import Notice
from opendsr.web import telling
from tests.browser.conftest import OpenPage, is_too_wide, wait_for_charts
from tests.campaigns.servicing.operating import make_operator
from tests.campaigns.ven.neighbour import connect, make_told
from tests.factories import make_asset, make_staff
from tests.hems.small_vtn import Authority
from tests.web.scene import NOW, Scene
from tests.web.things import open_request

AXE = Axe().axe_script
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
NARROW, WIDE = 320, 1280
OPEN_ALL = """
for (const each of document.querySelectorAll("details:not(.menu)")) each.open = true;
"""


def test_a_member_s_home_on_the_narrowest_phone(scene: Scene, open_page: OpenPage) -> None:
    page = open_page("/", user=scene.alice.user, width=NARROW)
    wait_for_charts(page)

    assert _violations(page) == []
    assert not is_too_wide(page)


@pytest.mark.slow
def test_every_page_in_every_light(scene: Scene, open_page: OpenPage) -> None:
    """Each page is loaded once as a phone would, then shown darker and wider where it stands.

    A theme changes colours alone, so in the dark only the rules about colours are asked.
    """
    found: dict[str, list[str]] = {}
    of_whom: dict[User | None, Page] = {}
    for path, user in _pages(scene):
        page = of_whom.get(user)
        if page is None:
            page = of_whom[user] = open_page(user=user, width=NARROW)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": NARROW, "height": 800})
        page.goto(path)
        wait_for_charts(page)
        page.evaluate(OPEN_ALL)
        page.evaluate(AXE)
        for width in (NARROW, WIDE):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                troubles = _told(page, RULES if scheme == "light" else COLOURS)
                if is_too_wide(page):
                    troubles.append("has to be moved sideways")
                if troubles:
                    found[f"{path} in {scheme}, {width} px"] = troubles

    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_menus_of_the_bar(width: int, scene: Scene, open_page: OpenPage) -> None:
    ada = make_staff("ada@example.org", Role.ADMINISTRATOR)
    page = open_page("/today/", user=ada, width=width)
    menus = page.locator("details.menu")
    for number in range(menus.count()):
        menus.nth(number).locator("summary").click()
        expect(page.locator("details.menu[open]")).to_have_count(1)
        assert _violations(page) == []
        assert not is_too_wide(page)
    page.keyboard.press("Escape")
    expect(page.locator("details.menu[open]")).to_have_count(0)
    expect(menus.last.locator("summary")).to_be_focused()


@pytest.mark.slow
def test_a_form_with_mistakes_tells_everybody(scene: Scene, open_page: OpenPage, troubles: list[str]) -> None:
    page = open_page("/campaigns/new/", user=scene.sam, width=NARROW)
    page.get_by_role("button", name="Create and plan").click()
    page.get_by_role("alert").wait_for()
    troubles.clear()

    assert _violations(page) == []
    field = page.get_by_label("Name")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == "id_name_error"
    page.get_by_role("link", name="Name: This field is required.").click()
    expect(field).to_be_focused()


def _asked_of(scene: Scene) -> list[Asset]:
    """A device of each kind that its household asks something of."""
    hub = scene.homes[0].hub.hub
    make_asset(hub, "storage_heater", at=NOW)
    return list(hub.assets.order_by("kind"))


def _pages(scene: Scene) -> list[tuple[str, User | None]]:
    statement = scene.statement_of(scene.alice)
    mo = make_staff("mo@example.org", Role.MEMBER_SERVICES)
    asked = asking.open_request(
        member=scene.carol.member, kind="complaint", at=NOW, channel="web", by="test", words="Nobody came."
    )
    return [
        ("/accounts/login/", None),
        ("/accounts/password/reset/", None),
        ("/", scene.alice.user),
        (f"/statements/{statement.pk}/", scene.alice.user),
        *((f"/preferences/devices/{asset.pk}/", scene.alice.user) for asset in _asked_of(scene)),
        ("/rights/", scene.carol.user),
        ("/rights/erase/", scene.carol.user),
        ("/data-requests/", mo),
        (f"/data-requests/{asked.pk}/", mo),
        ("/data-processing/", mo),
        *_notices(scene, mo),
        *_joining(scene, mo),
        ("/accounts/password/change/", scene.alice.user),
        *((path, scene.alice.user) for path in ("/consents/", "/apps/", "/terms/", "/accounts/2fa/")),
        ("/accounts/sessions/", scene.alice.user),
        (f"/membership/{scene.alice.member.number}/consents/", mo),
        *_devices(scene),
        *(
            (path, scene.sam)
            for path in (
                "/today/",
                "/search/?q=h",
                "/campaign-rules/",
                "/network-operators/",
                "/plans/",
                "/forecast/",
            )
        ),
        ("/figures/", scene.fay),
        *(
            (f"/market/{page}", scene.sam)
            for page in ("", "new/", "file/", "choose/", "buyers/", "may-enter/", *_market(scene))
        ),
        ("/load-control/", scene.sam),
        *_operators(),
        ("/notices/write/", mo),
        ("/settings/", make_staff("ada@example.org", Role.ADMINISTRATOR)),
        ("/campaigns/", scene.sam),
        ("/campaigns/new/", scene.sam),
        (f"/campaigns/{scene.next.pk}/", scene.sam),
        (f"/campaigns/{scene.planned.pk}/", scene.sam),
        (f"/campaigns/{scene.past.pk}/report/", scene.fay),
        (f"/campaigns/{scene.next.pk}/report/", scene.fay),
    ]


def _operators() -> list[tuple[str, User | None]]:
    """The VTN of an operator before it is set up, and one with an event, a message and trouble."""
    ada, new, old = make_staff("adi@example.org", Role.ADMINISTRATOR), make_operator(), make_operator()
    vtn = connect(old, "https://vtn.northern.example/OpenADR2/Simple/2.0b", Authority())
    make_told(vtn)
    return [(f"/network-operators/{each.client.pk}/vtn/", ada) for each in (new, old)]


def _market(scene: Scene) -> list[str]:
    """A buyer's request, open, whose page shows the forms, and the buyer."""
    made = open_request(scene)
    return [f"requests/{made.pk}/", f"buyers/{made.party_id}/"]


def _notices(scene: Scene, mo: User) -> list[tuple[str, User | None]]:
    """A member's page with a code on its way, the log with what did not arrive, a link before its press."""
    telling.tell_scheduled(campaign_id=scene.next.pk, at=NOW)
    choosing.give_number(member=scene.alice.member, phone="07700 900123", at=NOW)
    notice = Notice.objects.filter(member=scene.alice.member).order_by("pk").first()
    assert notice is not None
    Notice.objects.filter(member=scene.carol.member).update(
        state="bounced", reason="undeliverable", attempts=3
    )
    return [
        ("/notices/", scene.alice.user),
        ("/notices/", scene.carol.user),
        ("/notices/log/", mo),
        (f"/n/{links.token(notice, links.SKIP)}/", None),
    ]


def _devices(scene: Scene) -> list[tuple[str, User | None]]:
    """The registry: homes, one home, its hub, the map, the catalogue, changes, updates, data health."""
    dan = make_staff("dan@example.org", Role.DEVICE_MANAGER)
    hub = scene.homes[0].hub.hub
    paths = (
        "/registry/", f"/registry/homes/{hub.home_id}/", "/registry/map/", "/registry/catalogue/",
        "/registry/catalogue/new/", "/registry/changes/", "/registry/changes/new/", "/hubs/",
        f"/hubs/{hub.pk}/", "/updates/", "/metering/health/",
    )  # fmt: skip
    return [(path, dan) for path in paths]


def _violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    return _told(page, RULES)


def _told(page: Page, rules: list[str]) -> list[str]:
    """What axe, which the page holds already, has against it."""
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    violations = page.evaluate("(options) => axe.run(options).then((results) => results.violations)", options)
    return [
        f"{each['id']}: {node['target'][0]} {node['failureSummary']}"
        for each in violations
        for node in each["nodes"]
    ]


def _joining(scene: Scene, mo: User) -> list[tuple[str, User | None]]:
    """The public page, and those of the funnel, a visit, a membership and a partner's tenants."""
    for kind, words in DRAFTS.items():
        terms.publish_terms(kind=kind, body=words, at=NOW, by="test")
    ivan = make_staff("ivan@example.org", Role.INSTALLER)
    enquiry = applying.start(full_name="Nia New", email="nia@example.org", at=NOW)
    told = {"address": "3 Road", "postcode": "OL4 1AA", "mpan": "1600000000006", "tenure": "owner",
            "smart_meter": "yes"}  # fmt: skip
    applying.answer(application_id=enquiry.pk, given=told, at=NOW)
    applying.submit(application_id=enquiry.pk, at=NOW)
    job = jobs.plan_job(home=scene.alice.home, at=NOW, by="test")
    survey = {"kinds": ["ev_charger"], "heaters": ["quantum"], "cable_m": 40, "signal_dbm": -80}
    jobs.record_survey(job_id=job.pk, given=survey, at=NOW, by="test")
    starts_at = NOW + timedelta(days=1)
    jobs.schedule(job_id=job.pk, installer=ivan, starts_at=starts_at, at=NOW, by="test")
    inviting.make_champion(code="CALDER-JO", name="Jo", reward_pence=500, by="test", at=NOW)
    partner = partnering.make_partner(name="Calder Homes", by="test", at=NOW)
    pat = partnering.open_account(partner=partner, email="pat@calder.example", by="test", at=NOW)
    membership = f"/membership/{scene.alice.member.number}"
    return [
        ("/join/", None),
        ("/funnel/", mo),
        (f"/funnel/{enquiry.pk}/", mo),
        ("/funnel/rules/", mo),
        ("/funnel/terms/", mo),
        ("/funnel/champions/", mo),
        ("/funnel/surveys/", mo),
        ("/visits/", mo),
        ("/visits/limits/", mo),
        (f"/visits/{job.pk}/", mo),
        (f"/visits/{job.pk}/", ivan),
        (f"/visits/{job.pk}/jobsheet/", mo),
        (f"{membership}/", scene.alice.user),
        (f"{membership}/move/", scene.alice.user),
        (f"{membership}/bereavement/", mo),
        ("/partner/properties/", pat),
        ("/partner/brand/", pat),
        (f"/partners/{partner.pk}/tenancy/", mo),
        ("/survey/joining/", scene.alice.user),
    ]

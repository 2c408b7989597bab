"""Changing many at once, through the pages: chosen, looked at, applied, taken back; and strangers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assets.models import Asset
from assets.registry_models import ChangeRow, ChangeSet
from members.models import Home, Role
from opendsr.kernel import clock, outbox
from tests.factories import make_asset_kinds, make_home, make_hub, make_resident, make_staff
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
Visit = Callable[[object], Client]
NEW = "change_new"


@pytest.fixture(autouse=True)
def _still(coop: object) -> None:
    clock.configure(AT, speed=0)
    make_asset_kinds()


@pytest.fixture
def dev(visit: Visit) -> Client:
    return visit(make_staff("dev@example.org", Role.DEVICE_MANAGER))


def press(client: Client, change: ChangeSet, verb: str):
    answer = client.post(reverse("change_action", args=[change.pk, verb]), follow=True)
    outbox.drain()
    change.refresh_from_db()
    return answer


def test_chosen_by_filters_looked_at_applied_and_taken_back(dev):
    for number in range(3):
        make_home(gsp_group="G" if number else "N", cmz="OLD")
    url = f"{reverse(NEW)}?gsp_group=G"
    first = seen(dev.get(url))
    assert first.faults() == []
    assert "GSP group: G – North West England: 2 homes" in first.text()
    answer = dev.post(url, {"field": "cmz", "value": "NEW", "why": "the DNO drew it anew"}, follow=True)
    page = seen(answer)
    assert page.faults() == []
    assert [row[1:3] for row in page.cells("rows")] == [["OLD", "NEW"]] * 2
    change = ChangeSet.objects.get()
    assert not Home.objects.filter(cmz="NEW").exists()
    assert "being applied" in seen(press(dev, change, "apply")).text()
    assert Home.objects.filter(cmz="NEW").count() == 2
    assert "Take it back" in seen(dev.get(reverse("change_page", args=[change.pk]))).text()
    press(dev, change, "undo")
    assert (change.state, Home.objects.filter(cmz="NEW").count()) == ("undone", 0)
    assert "not at that step" in seen(press(dev, change, "undo")).text()
    listed = seen(dev.get(reverse("change_list")))
    assert listed.faults() == []
    assert "taken back" in listed.text()


def test_a_list_as_text_or_file_with_refused_rows_as_a_file(dev):
    kit = make_hub(make_home(), at=AT, kinds=("immersion_heater",))
    name = kit.assets[0].resource_id
    url = f"{reverse(NEW)}?by=list"
    assert seen(dev.get(url)).faults() == []
    sent = {"by": "list", "field": "rated_w", "value": "", "why": "plates read"}
    rows = f"name;value\n{name};2800\n=cmd;1\n"
    answer = dev.post(url, {**sent, "rows": rows}, follow=True)
    assert "refused" in seen(answer).text()
    change = ChangeSet.objects.get()
    file = dev.get(reverse("change_refused", args=[change.pk])).content.decode("utf-8-sig")
    assert "'=cmd" in file
    assert "Nothing in use goes by this name" in file
    narrowed = seen(dev.get(reverse("change_page", args=[change.pk]), {"state": "refused"}))
    assert [row[0] for row in narrowed.cells("rows")] == ["=cmd"]
    press(dev, change, "apply")
    assert Asset.objects.get().rated_w == 2_800
    upload = SimpleUploadedFile("rows.csv", rows.encode())
    assert dev.post(url, {**sent, "file": upload}).status_code == 302


@pytest.mark.parametrize(
    "wrong",
    [
        {"field": "mpan"},
        {"why": ""},
        {"value": "x" * 81},
        {"value": "a\x00b"},
        {"field": "rated_w", "value": "much"},
        {"by": "list", "rows": ""},
        {"by": "list", "rows": "serial\nX\n"},
        {"by": "list", "rows": "name\n"},
        {"by": "list", "file": SimpleUploadedFile("x.csv", b"\xff\xfe\x00")},
    ],
    ids=str,
)
def test_wrong_input_is_said_beside_the_field(dev, wrong):
    make_hub(make_home(), at=AT)
    answer = dev.post(reverse(NEW), {"field": "cmz", "value": "X", "why": "y", **wrong})
    assert answer.status_code == 422
    page = seen(answer)
    assert page.faults() == []
    assert page.tree.xpath("//*[@role='alert']")
    assert not ChangeSet.objects.exists()


def test_hostile_text_is_only_text(dev):
    home = make_home()
    sent = {"field": "cmz", "value": HOSTILE, "why": HOSTILE}
    dev.post(reverse(NEW), sent)
    change = ChangeSet.objects.get()
    press(dev, change, "apply")
    assert Home.objects.get().cmz == HOSTILE
    for url in (
        reverse("change_page", args=[change.pk]),
        reverse("change_list"),
        reverse("home_page", args=[home.pk]),
        reverse("home_list"),
        reverse("place_map") + "?level=cmz",
    ):
        answer = dev.get(url)
        assert HOSTILE not in answer.content.decode()
        assert seen(answer).faults() == []


def test_a_dropped_preview_changes_nothing(dev):
    make_home()
    dev.post(reverse(NEW), {"field": "cmz", "value": "X", "why": "y"})
    change = ChangeSet.objects.get()
    assert "Dropped" in seen(press(dev, change, "discard")).text()
    assert not Home.objects.filter(cmz="X").exists()


def test_words_somebody_was_looked_for_by_are_not_kept(dev):
    make_home(name="Archer House")
    dev.post(f"{reverse(NEW)}?q=archer", {"field": "cmz", "value": "X", "why": "y"})
    change = ChangeSet.objects.get()
    assert "archer" not in change.chosen.lower()
    assert change.rows.count() == 1


def test_a_change_of_ten_thousand_rows_is_a_page_of_a_hundred(dev, django_assert_max_num_queries):
    home = make_home()
    change = ChangeSet.objects.create(
        field="cmz", value="X", chosen="all", why="y", made_at=AT, made_by="staff:1", changed_at=AT
    )
    ChangeRow.objects.bulk_create(
        ChangeRow(
            change_set=change,
            number=number,
            name=f"row-{number}",
            home=home,
            target_id=home.pk,
            after="X",
            state="planned",
            changed_at=AT,
        )
        for number in range(10_000)
    )
    with django_assert_max_num_queries(14):
        page = seen(dev.get(reverse("change_page", args=[change.pk]), {"page": "100"}))
    assert "Change 10,000 rows" in page.text()
    assert len(page.cells("rows")) == 100


def test_strangers_and_who_may_look_only(visit):
    make_home(name="4 Weir Lane")
    dev = visit(make_staff("dee@example.org", Role.DEVICE_MANAGER))
    empty = seen(dev.get(reverse("change_list")))
    assert "Nothing was changed" in empty.text()
    dev.post(reverse(NEW), {"field": "cmz", "value": "X", "why": "y"})
    change = ChangeSet.objects.get()
    looks = [
        reverse("change_list"),
        reverse("change_page", args=[change.pk]),
        reverse("change_refused", args=[change.pk]),
    ]
    presses = [reverse("change_action", args=[change.pk, verb]) for verb in ("apply", "undo", "discard")]
    presses.append(reverse(NEW))
    member = visit(make_resident("Alice Archer", at=AT, email="alice@example.org").user)
    services = visit(make_staff("mel@example.org", Role.MEMBER_SERVICES))
    for client, look, deed in ((member, 403, 403), (visit(None), 302, 302), (services, 200, 403)):
        assert {client.get(url).status_code for url in looks} == {look}
        assert {client.post(url).status_code for url in presses} == {deed}
    assert services.get(reverse(NEW)).status_code == 403
    change.refresh_from_db()
    assert change.state == "previewed"
    for name in ("change_page", "change_refused"):
        assert dev.get(reverse(name, args=[uuid4()])).status_code == 404
    assert dev.post(reverse("change_action", args=[uuid4(), "apply"])).status_code == 404
    assert dev.post(reverse("change_action", args=[change.pk, "nonsense"])).status_code == 404

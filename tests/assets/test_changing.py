"""Changes of many rows: previewed, applied in pieces, taken back; a bad row never sinks the good ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets import change_fields, changing, servicing
from assets.change_fields import FIELDS
from assets.changing import Wanted
from assets.models import Asset, Hub
from assets.registry_models import ChangeRow, ChangeSet
from members import placing
from members.entry import InvalidField
from members.models import Home
from opendsr.kernel import outbox
from opendsr.kernel.models import AuditEntry
from tests.assets.test_fitting import make_product
from tests.factories import make_home, make_hub

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BY = "staff:1"


def preview(field: str, value: str = "", *names: str, rows=()) -> ChangeSet:
    wanted = [Wanted(name) for name in names] + [Wanted(*row) for row in rows]
    return changing.preview(
        field=field, value=value, chosen="a list", why="grid data", at=AT, by=BY, wanted=wanted
    )


def run(change: ChangeSet, deed=changing.apply_change) -> ChangeSet:
    deed(change_id=change.pk, at=AT + HOUR, by=BY)
    outbox.drain()
    change.refresh_from_db()
    return change


def rows_of(change: ChangeSet) -> list[tuple[str, str, str, str]]:
    rows = ChangeRow.objects.filter(change_set=change).order_by("number")
    return [(each.before, each.after, each.state, each.why) for each in rows]


def test_a_preview_changes_nothing_and_says_each_row():
    kit = make_hub(make_home(primary_substation="Weir"), at=AT)
    other = make_home(primary_substation="Mill")
    change = preview("primary_substation", "Mill", kit.hub.serial, str(other.pk), "nobody", str(uuid4()))
    assert rows_of(change) == [
        ("Weir", "Mill", "planned", ""),
        ("Mill", "Mill", "refused", "unchanged"),
        ("", "Mill", "refused", "not_found"),
        ("", "Mill", "refused", "not_found"),
    ]
    assert Home.objects.get(pk=kit.hub.home_id).primary_substation == "Weir"


def test_applied_and_taken_back_the_world_is_as_before():
    kits = [make_hub(make_home(cmz="OLD"), at=AT) for _ in range(3)]
    change = run(preview("cmz", "NEW", *(kit.hub.serial for kit in kits)))
    assert change.state == "applied"
    assert set(Home.objects.values_list("cmz", flat=True)) == {"NEW"}
    placing.place_home(home_id=kits[0].hub.home_id, field="cmz", value="HAND", at=AT, by=BY)
    run(change, changing.undo_change)
    assert change.state == "undone"
    assert [row[2:] for row in rows_of(change)] == [("kept", "moved_on"), ("undone", ""), ("undone", "")]
    assert sorted(Home.objects.values_list("cmz", flat=True)) == ["HAND", "OLD", "OLD"]
    said = AuditEntry.objects.filter(verb="home.cmz", actor=f"change:{change.pk}")
    assert said.count() == 5


def test_a_row_that_moved_on_since_the_preview_is_refused_and_the_others_go_through():
    first, second = (make_hub(make_home(cmz="A"), at=AT) for _ in range(2))
    change = preview("cmz", "B", first.hub.serial, second.hub.serial)
    placing.place_home(home_id=first.hub.home_id, field="cmz", value="C", at=AT, by=BY)
    run(change)
    assert [row[2:] for row in rows_of(change)] == [("refused", "moved_on"), ("applied", "")]


def test_pieces_go_on_one_after_the_other(monkeypatch):
    monkeypatch.setattr(changing, "PIECE", 2)
    homes = [make_home() for _ in range(5)]
    change = preview("cmz", "Z", *(str(home.pk) for home in homes))
    changing.apply_change(change_id=change.pk, at=AT, by=BY)
    assert changing.step(change_id=change.pk, at=AT) == 2
    assert changing.progress(ChangeSet.objects.get()).moved == 2
    assert ChangeSet.objects.get().state == "applying"
    assert changing.step(change_id=change.pk, at=AT) == 2
    assert changing.step(change_id=change.pk, at=AT) == 1
    assert changing.step(change_id=change.pk, at=AT) == 0
    assert ChangeSet.objects.get().state == "applied"
    outbox.drain()
    assert Home.objects.filter(cmz="Z").count() == 5


def test_limits_models_and_states_with_their_own_refusals():
    kit = make_hub(make_home(), at=AT, kinds=("immersion_heater", "ev_charger"))
    tank, car = kit.assets
    product = make_product()
    names = (tank.resource_id, car.resource_id)
    assert [row[2:] for row in rows_of(run(preview("rated_w", "3600", *names)))] == [
        ("applied", ""),
        ("applied", ""),
    ]
    assert [row[2:] for row in rows_of(preview("rated_w", "7000", *names))] == [
        ("refused", "power_out_of_range"),
        ("planned", ""),
    ]
    assert [row[3] for row in rows_of(preview("flexible_w", "3601", *names))] == ["power_out_of_range"] * 2
    assert [row[3] for row in rows_of(run(preview("product", str(product), *names)))] == ["", "other_kind"]
    change = run(preview("state", "retired", *names))
    assert set(Asset.objects.values_list("state", flat=True)) == {"retired"}
    assert [row[3] for row in rows_of(preview("rated_w", "3000", tank.resource_id))] == ["retired"]
    run(change, changing.undo_change)
    assert set(Asset.objects.values_list("state", "retired_at")) == {("active", None)}
    shown = make_product(category="hub", kind_id=None, make="Pi", model="4")
    run(preview("hub_product", str(shown), kit.hub.serial))
    assert Hub.objects.get().product == shown
    run(preview("hub_product", "", kit.hub.serial))
    assert Hub.objects.get().product is None


def test_a_list_may_give_each_row_its_value_and_twice_is_once():
    kit = make_hub(make_home(), at=AT, kinds=("immersion_heater",))
    name = kit.assets[0].resource_id
    change = preview("rated_w", rows=[(name, "2800"), (name, "2900"), (kit.hub.serial, "3000"), (name, "x")])
    assert [row[1:] for row in rows_of(change)] == [
        ("2800", "planned", ""),
        ("2900", "refused", "twice"),
        ("3000", "refused", "not_found"),
        ("x", "refused", "twice"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mpan", "1"),
        ("rated_w", "many"),
        ("rated_w", "-1"),
        ("rated_w", "٣٠٠٠"),
        ("rated_w", "9" * 7),
        ("state", "asleep"),
        ("product", "Acme Nothing"),
        ("cmz", "x" * 61),
        ("cmz", "a\x07b"),
    ],
)
def test_a_value_no_row_could_take_is_refused_at_once(field, value):
    kit = make_hub(make_home(), at=AT)
    with pytest.raises(InvalidField):
        preview(field, value, kit.hub.serial)
    assert not ChangeSet.objects.exists()


def test_nothing_chosen_and_too_many(monkeypatch):
    with pytest.raises(changing.NothingChosen):
        preview("cmz", "X")
    monkeypatch.setattr(changing, "MOST_ROWS", 1)
    with pytest.raises(changing.TooManyChosen):
        preview("cmz", "X", "a", "b")
    with pytest.raises(InvalidField):
        changing.preview(field="cmz", value="X", chosen="", why=" ", at=AT, by=BY, wanted=[Wanted("a")])


def test_each_step_has_its_order():
    change = preview("cmz", "X", str(make_home().pk))
    with pytest.raises(changing.ChangeNotAtThatStep):
        changing.undo_change(change_id=change.pk, at=AT, by=BY)
    run(change)
    for deed in (changing.apply_change, changing.discard_change):
        with pytest.raises(changing.ChangeNotAtThatStep):
            deed(change_id=change.pk, at=AT, by=BY)
    with pytest.raises(changing.ChangeNotFound):
        changing.apply_change(change_id=uuid4(), at=AT, by=BY)
    dropped = preview("cmz", "Y", str(make_home().pk))
    changing.discard_change(change_id=dropped.pk, at=AT, by=BY)
    assert not Home.objects.filter(cmz="Y").exists()


def test_a_row_whose_service_refuses_is_told_and_the_others_go_through():
    first, second = (make_hub(make_home(), at=AT) for _ in range(2))
    change = preview("state", "faulty", *(kit.assets[0].resource_id for kit in (first, second)))
    servicing.retire_hub(hub_id=first.hub.pk, at=AT, by=BY)
    run(change)
    assert [row[2:] for row in rows_of(change)] == [("refused", "moved_on"), ("applied", "")]


def test_a_preview_of_a_thousand_is_a_few_statements(django_assert_max_num_queries):
    home = make_home()
    Hub.objects.bulk_create(
        Hub(home=home, serial=f"BULK-{number:04}", state=Hub.State.PLANNED) for number in range(1_000)
    )
    make_product(category="hub", kind_id=None, make="Pi", model="4")
    targets = change_fields.within(FIELDS["hub_product"], Home.objects.all())
    with django_assert_max_num_queries(1_020):
        changing.preview(
            field="hub_product", value="Pi 4", chosen="all", why="x", at=AT, by=BY, targets=targets
        )
    assert ChangeRow.objects.filter(state="planned").count() == 1_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(data=st.data())
def test_undone_it_is_as_if_it_had_not_been(data):
    homes = [make_home(cmz=data.draw(st.sampled_from(["", "A", "B"]))) for _ in range(3)]
    before = {home.pk: home.cmz for home in homes}
    names = data.draw(st.lists(st.sampled_from([str(home.pk) for home in homes] + ["?"]), min_size=1))
    change = run(preview("cmz", data.draw(st.sampled_from(["", "A", "C"])), *names))
    run(change, changing.undo_change) if changing.progress(change).applied else None
    now = dict(Home.objects.filter(pk__in=before).values_list("pk", "cmz"))
    assert now == before
    assert changing.progress(change).all == len(names)


@pytest.fixture(autouse=True)
def _kinds(db):
    from tests.factories import make_asset_kinds

    make_asset_kinds()

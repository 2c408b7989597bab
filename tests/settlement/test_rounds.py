"""Rounds: two people, nothing posted before, everything at once; computed again from the archive alone."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from psycopg.types.json import Jsonb

from assets.registry_models import HubSpell
from campaigns.models import Participation, Programme
from campaigns.outcomes import record_outcomes
from members.models import Role
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from settlement import (
    computing,
    ledger,
    policies,
    queries,
    replaying,
    rounds,
    settling,
    statements,
    verifying,
)
from settlement.models import (
    Component,
    Entry,
    Posting,
    RoundDecision,
    SettlementRun,
    SettlementTerms,
    Statement,
)
from settlement.overriding import OverrideCost, OverridePolicy
from settlement.sharing import By, SharePolicy
from tests.factories import make_resident, make_staff
from tests.settlement.staging import (
    AFTER,
    EVENT,
    State,
    assert_everything_sums,
    balance_of,
    delivery_of,
    event_of,
    make_measured,
    make_part,
    make_stage,
    make_terms,
    settle,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db
LATER = AFTER + timedelta(days=1)


@pytest.fixture
def fay(db):
    return make_staff("fay@example.org", Role.FINANCE)


@pytest.fixture
def ada(db):
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


def two_events(*delivered_wh, published=None):
    """Two campaigns of the same households, a day apart."""
    first = make_measured(*delivered_wh, published=published)
    second = make_stage(
        *[State.OPTED_IN] * len(delivered_wh),
        residents=first.residents,
        starts_at=EVENT[0] + timedelta(days=1),
        published=published or None,
    )
    event = [start + timedelta(days=1) for start in EVENT]
    for resident, wh in zip(first.residents, delivered_wh, strict=True):
        store_event(resident, 1_000 - 2 * wh, 1_000, 1_000, 1_000, event=event, at=LATER)
    return first, second


def final_round(fay, *stages, at=LATER + timedelta(days=1), **options):
    round = rounds.propose_round(
        programme_code="winter",
        kind="final",
        campaign_ids=[stage.campaign.pk for stage in stages],
        at=at,
        by=fay,
        **options,
    )
    rounds.compute_round(round_id=round.pk, at=at)
    return round


def test_a_round_posts_one_posting_a_participant_and_component(fay, ada):
    first, second = two_events(100, 50)

    round = final_round(fay, first, second)
    assert not Entry.objects.exists()
    done = rounds.approve_round(round_id=round.pk, at=LATER + timedelta(days=2), by=ada)

    postings = Posting.objects.filter(entry=done.entry)
    assert postings.count() == 4
    assert {posting.component for posting in postings} == {"revenue", "coop", "energy"}
    assert done.statements == 2
    statement = Statement.objects.get(member=first.residents[0].member)
    assert statement.earned_mp == statement.posted_mp == balance_of(first.residents[0])
    assert_everything_sums()


def test_a_final_round_posts_what_the_provisional_ones_did_not(fay, ada):
    first, second = two_events(100, 50)
    settle(first)
    settle(second, at=LATER)
    before = balance_of(first.residents[0])
    store_event(first.residents[0], 0, 1_000, 1_000, 1_000, at=LATER)

    round = final_round(fay, first, second)
    rounds.approve_round(round_id=round.pk, at=LATER + timedelta(days=2), by=ada)

    assert balance_of(first.residents[0]) > before
    statement = Statement.objects.get(round=round, member=first.residents[0].member)
    assert statement.previous_mp == before
    assert_everything_sums()


def test_whoever_proposed_cannot_approve_not_even_past_the_service(fay):
    stage = make_measured(700)
    round = final_round(fay, stage)

    with pytest.raises(rounds.SecondPersonNeeded):
        rounds.approve_round(round_id=round.pk, at=LATER, by=fay)
    for by in (fay, None):
        with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
            RoundDecision.objects.create(round=round, verdict="approved", by=by, at=LATER)
    assert not Entry.objects.exists()


def test_a_round_is_decided_once(fay, ada):
    round = final_round(fay, make_measured(700))
    rounds.approve_round(round_id=round.pk, at=LATER, by=ada)

    for again in (rounds.approve_round, rounds.withdraw_round):
        with pytest.raises(rounds.RoundDecided):
            again(round_id=round.pk, at=LATER, by=ada)
    assert Entry.objects.count() == 1


def test_a_withdrawn_round_posts_nothing_and_lets_another_be_proposed(fay, ada):
    stage = make_measured(700)
    round = final_round(fay, stage)
    with pytest.raises(rounds.RoundWaits):
        final_round(fay, stage)

    rounds.withdraw_round(round_id=round.pk, at=LATER, by=ada)

    assert queries.newest_run(stage.campaign.pk) is None
    assert final_round(fay, stage).number == round.number + 1
    assert not Entry.objects.exists()


def test_a_round_that_lacks_readings_stops_before_any_posting_and_says_why(fay, ada):
    first = make_measured(700)
    second = make_stage(State.OPTED_IN, residents=first.residents, starts_at=EVENT[0] + timedelta(days=1))

    round = final_round(fay, first, second)

    progress = rounds.progress_of(round)
    assert (progress.done, progress.of) == (1, 2)
    assert progress.problem.startswith("readings incomplete")
    with pytest.raises(rounds.RoundNotComputed):
        rounds.approve_round(round_id=round.pk, at=LATER, by=ada)
    assert not Entry.objects.exists()


def unchecked_terms(**fields):
    """The next version of the tests' terms, past the service that checks them."""
    newest = make_terms()
    values = {
        field.attname: getattr(newest, field.attname) for field in SettlementTerms._meta.concrete_fields
    }
    changed = {**values, "id": new_uuid(), "version": newest.version + 1, **fields}
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO settlement_settlementterms ({', '.join(changed)})"  # noqa: S608
            f" VALUES ({', '.join(['%s'] * len(changed))})",
            [Jsonb(value) if isinstance(value, dict) else value for value in changed.values()],
        )
    return SettlementTerms.objects.defer("utilisation_pence_per_kwh").get(pk=changed["id"])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"utilisation_pence_per_kwh": "NaN"}, "price missing: price=utilisation_pence_per_kwh, value=NaN"),
        ({"availability_pence_per_kw_hour": "NaN"}, "price missing: price=availability_pence_per_kw_hour"),
        ({"baseline_rule": "of_another_version"}, "unknown rule: rule=of_another_version"),
        ({"baseline_parameters": {"luck": 1}}, "rule invalid: rule=dfs_2023_domestic, parameter=luck"),
        ({"baseline_rule": "nominated"}, "rule not computed: "),
        ({"pay_curve": '"steep"'}, "unknown curve: curve=steep"),
        ({"share_policy": "unpublished"}, "policy not in force: policy=unpublished"),
    ],
)
def test_terms_that_cannot_be_applied_stop_a_round_before_any_posting(fay, fields, problem):
    stage = make_measured(700, published=unchecked_terms(**{"pay_curve": '"flat"', **fields}))

    assert_stopped(final_round(fay, stage), problem)
    with pytest.raises(DomainError):
        settle(stage)
    assert not Entry.objects.exists()


def test_money_for_nobodys_energy_stops_a_round_before_any_posting(fay):
    stage = make_measured(-100, -50, published=make_terms(availability_pence_per_kw_hour=Decimal(10)))

    assert_stopped(final_round(fay, stage), "zero weights: ")


def test_a_programme_without_terms_stops_a_round_before_any_posting(fay):
    stage = make_measured(700)
    Programme.objects.update(settlement_terms_id=new_uuid())

    assert_stopped(final_round(fay, stage), "terms unknown: ")


@pytest.mark.parametrize("rule", ["dfs_2023_domestic", "dfs_2022", "elexon_bl01", "powershaper_three_weeks"])
def test_a_home_without_any_day_before_the_event_stops_a_round_before_any_posting(fay, rule):
    stage = make_measured(700, published=make_terms(baseline_rule=rule))
    newcomer = make_resident()
    make_part(stage.campaign, newcomer, State.OPTED_IN)
    store_event(newcomer, 0, 0, 0, 0)

    round = final_round(fay, stage)
    assert_stopped(round, "days missing: ")
    assert "households=1" in rounds.progress_of(round).problem
    with pytest.raises(computing.DaysMissing):
        settle(stage)
    assert settle(stage, is_forced=True).is_new


def assert_stopped(round, problem):
    progress = rounds.progress_of(round)
    assert progress.problem.startswith(problem)
    assert progress.done == 0
    assert not Entry.objects.exists()
    assert not SettlementRun.objects.exists()


def test_a_round_cut_short_goes_on_where_it_stopped(fay, ada):
    first, second = two_events(100, 50)
    at = LATER + timedelta(days=1)
    round = rounds.propose_round(
        programme_code="winter",
        kind="final",
        campaign_ids=[first.campaign.pk, second.campaign.pk],
        at=at,
        by=fay,
    )
    (pending, _) = computing.prepare([first.campaign, second.campaign], known_at=at)
    ((each, given, result),) = computing.compute([pending], known_at=at)
    written = computing.write(round, each, given, result, at=at)

    progress = rounds.compute_round(round_id=round.pk, at=at)
    again = rounds.compute_round(round_id=round.pk, at=at)

    assert (progress.done, progress.problem) == (2, "")
    assert again == progress
    assert written in set(round.runs.all())
    rounds.approve_round(round_id=round.pk, at=at, by=ada)
    assert_everything_sums()


def test_a_round_somebody_overtook_is_stale(fay, ada):
    stage = make_measured(700)
    round = final_round(fay, stage)
    settle(stage, at=LATER)

    with pytest.raises(rounds.RoundStale):
        rounds.approve_round(round_id=round.pk, at=LATER, by=ada)
    assert_everything_sums()


def test_after_final_a_changed_reading_is_a_correction_that_waits(fay, ada):
    stage = make_measured(700, 300)
    round = final_round(fay, stage, at=AFTER)
    rounds.approve_round(round_id=round.pk, at=AFTER, by=ada)
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000, at=LATER)

    done = settle(stage, at=LATER)

    assert (done.posted, done.waits, done.run.round.kind) == (False, True, "correction")
    assert balance_of(stage.residents[0]) == 136_500
    assert settle(stage, at=LATER).run == done.run
    rounds.approve_round(round_id=done.run.round_id, at=LATER, by=ada)
    assert balance_of(stage.residents[0]) == 97_500
    assert_everything_sums()


def test_a_final_campaign_is_not_made_final_again(fay, ada):
    stage = make_measured(700)
    rounds.approve_round(round_id=final_round(fay, stage).pk, at=LATER, by=ada)

    with pytest.raises(rounds.WrongKind):
        final_round(fay, stage)


@pytest.mark.parametrize("ids", ["none", "strange"])
def test_a_round_settles_campaigns_of_its_programme(fay, ids):
    stage = make_measured(700)
    wanted = [] if ids == "none" else [stage.campaign.pk, stage.residents[0].occupancy.pk]

    with pytest.raises(rounds.RoundEmpty):
        rounds.propose_round(programme_code="winter", kind="final", campaign_ids=wanted, at=LATER, by=fay)


def test_changed_readings_are_settled_again_by_themselves():
    stage = make_measured(700)
    settle(stage)
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000, at=LATER)

    (done,) = settling.settle_again(at=LATER)

    assert done.posted
    assert settling.settle_again(at=LATER) == []


def test_from_the_third_day_a_campaign_is_settled_with_what_is_there():
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 500, 500, event=EVENT[:2])

    assert settling.settle_what_is_ready(at=AFTER) == []
    (done,) = settling.settle_what_is_ready(at=EVENT[-1] + timedelta(days=4))
    assert done.run.missing_half_hours == 2


def test_a_run_is_computed_again_when_the_readings_are_gone():
    stage = make_measured(700, 300, 150, -80, published=make_terms(baseline_rule="dfs_2022"))
    run = settle(stage).run
    before = event_of(run, stage.residents[0])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM metering_half_hour")

    again = replaying.replay(run)

    assert (again.input_sha256, again.result_sha256) == (run.input_sha256, run.result_sha256)
    assert again.shares.revenue_mp == run.revenue_mp
    assert event_of(run, stage.residents[0]) == before


def test_a_replay_posts_nothing_and_is_the_same_run(fay, ada):
    stage = make_measured(700, 300)
    first = settle(stage)
    round = final_round(fay, stage)
    rounds.approve_round(round_id=round.pk, at=LATER, by=ada)

    again = round.runs.get()
    assert (again.input_sha256, again.result_sha256) == (first.run.input_sha256, first.run.result_sha256)
    assert Entry.objects.count() == 1


def test_an_override_costs_what_the_terms_say():
    balances = []
    for policy in (
        OverridePolicy(),
        OverridePolicy(OverrideCost.REDUCED, Decimal(50)),
        OverridePolicy(OverrideCost.NO_PAYMENT),
    ):
        stage = make_stage(State.OVERRIDDEN, State.OPTED_IN, published=make_terms(override_policy=policy))
        for resident in stage.residents:
            store_history(resident)
            store_event(resident, 500, 1_000, 1_000, 1_000)
        run = settle(stage).run
        assert run.sold_wh == 1_000
        balances.append(delivery_of(run, stage.residents[0]).earned_mp)
    assert balances == [97_500, 65_000, 0]
    assert_everything_sums()


@pytest.mark.parametrize(
    "split",
    [{By.WH: Decimal(100)}, {By.EQUAL: Decimal(100)}, {By.WH: Decimal(50), By.AVAILABILITY: Decimal(50)}],
)
def test_what_a_home_alone_forgoes_is_held_for_the_fund_and_its_statement_verifies(split):
    policies.publish_policy(
        name="Shared",
        policy=SharePolicy(split=split, fund_pct=Decimal(5), floor_mp=100),
        effective_from=EVENT[0] - timedelta(days=1),
        at=EVENT[0] - timedelta(days=2),
    )
    published = make_terms(override_policy=OverridePolicy(OverrideCost.NO_PAYMENT), share_policy="Shared")
    stage = make_stage(State.OVERRIDDEN, published=published)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000)

    run = settle(stage).run

    assert (run.revenue_mp, run.coop_mp, run.fund_mp, run.members_mp) == (150_000, 52_500, 97_500, 0)
    event = event_of(run, stage.residents[0])
    assert (event.earned_mp, event.held_mp) == (0, 90_000)
    text = statements.render_json(Statement.objects.get())
    assert verifying.verify(json.loads(text)) == []
    forged = json.loads(text)
    forged["events"][0]["override_cost"] = "nothing"
    assert any("though an override costs nothing" in problem for problem in verifying.verify(forged))
    assert replaying.replay(run).result_sha256 == run.result_sha256
    assert_everything_sums()


def test_a_reduced_payment_reduces_floor_and_equal_part_and_the_statements_verify():
    policies.publish_policy(
        name="Shared",
        policy=SharePolicy(split={By.EQUAL: Decimal(100)}, floor_mp=1_000, hardship_weight=Decimal("1.5")),
        effective_from=EVENT[0] - timedelta(days=1),
        at=EVENT[0] - timedelta(days=2),
    )
    reduced = OverridePolicy(OverrideCost.REDUCED, Decimal(40))
    published = make_terms(override_policy=reduced, share_policy="Shared")
    stage = make_stage(State.OVERRIDDEN, State.OPTED_IN, published=published)
    for resident in stage.residents:
        store_history(resident)
        store_event(resident, 500, 1_000, 1_000, 1_000)

    run = settle(stage).run

    less, whole = (delivery_of(run, resident) for resident in stage.residents)
    assert (less.floor_mp, whole.floor_mp) == (600, 1_000)
    assert less.equal_mp == 0.6 * whole.equal_mp
    for statement in Statement.objects.all():
        assert verifying.verify(json.loads(statements.render_json(statement))) == []
    assert replaying.replay(run).result_sha256 == run.result_sha256
    assert_everything_sums()


def test_a_home_we_never_reached_counts_as_standing_ready():
    for forgives, earned in ((True, True), (False, False)):
        at = AFTER - timedelta(days=30)
        policies.publish_policy(
            name=f"Ready {forgives}",
            policy=SharePolicy(split={By.WH: Decimal(50), By.AVAILABILITY: Decimal(50)}),
            effective_from=at,
            at=at,
        )
        published = make_terms(share_policy=f"Ready {forgives}", forgives_our_failures=forgives)
        stage = make_stage(State.SENT, State.OPTED_IN, published=published)
        for resident in stage.residents:
            store_history(resident)
            store_event(resident, 500, 1_000, 1_000, 1_000)

        delivery = delivery_of(settle(stage).run, stage.residents[0])

        assert (delivery.availability_mp > 0, delivery.energy_mp) == (earned, 0)
    assert_everything_sums()


def test_a_home_whose_device_failed_under_our_control_counts_as_standing_ready():
    at = AFTER - timedelta(days=30)
    policies.publish_policy(
        name="Ready",
        policy=SharePolicy(split={By.WH: Decimal(50), By.AVAILABILITY: Decimal(50)}),
        effective_from=at,
        at=at,
    )
    stage = make_stage(State.OPTED_IN, State.OPTED_IN, published=make_terms(share_policy="Ready"))
    for resident in stage.residents:
        store_history(resident)
        store_event(resident, 500, 1_000, 1_000, 1_000)
    HubSpell.objects.create(
        hub=stage.parts[0].asset.hub,
        cause="away",
        resource_id=stage.parts[0].asset.resource_id,
        starts_at=EVENT[0] - timedelta(hours=1),
        ends_at=stage.campaign.ends_at,
    )
    record_outcomes(campaign_id=stage.campaign.pk, measured=None, at=AFTER)

    run = settle(stage).run

    failed, other = (delivery_of(run, resident) for resident in stage.residents)
    assert (failed.standing, failed.outcome, other.standing) == ("device_error", "device_error", "took_part")
    assert failed.takes_part
    assert failed.availability_mp == other.availability_mp > 0
    assert Participation.objects.get(pk=stage.parts[0].pk).outcome == "device_error"
    assert_everything_sums()


def test_gifts_go_to_the_fund_and_show_as_their_own_posting():
    stage = make_measured(700, 300)
    policies.choose_gift(
        household=stage.residents[0].household, pct=Decimal(10), at=EVENT[0] - timedelta(days=1), by=None
    )

    settle(stage)

    assert balance_of(stage.residents[0]) == 136_500 - 13_650
    assert ledger.trial_balance().balances_mp["fund"] == 13_650
    assert Posting.objects.filter(component=Component.GIFT).count() == 2
    assert_everything_sums()


def test_a_policy_that_begins_later_is_not_in_force():
    at = EVENT[0] + timedelta(hours=1)
    policies.publish_policy(name="New", policy=SharePolicy(), effective_from=at, at=AFTER - timedelta(days=9))
    stage = make_measured(700, published=make_terms(share_policy="New"))

    with pytest.raises(policies.PolicyNotInForce):
        settle(stage)
    assert not SettlementRun.objects.exists()
    with pytest.raises(policies.PolicyRetroactive):
        policies.publish_policy(
            name="New", policy=SharePolicy(), effective_from=at, at=at + timedelta(days=1)
        )

"""The doors to money: one's own, one's household's, staff whose work it is; nobody else."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from members.models import Role
from members.policy import Forbidden
from settlement import policy
from settlement.models import Statement
from settlement.policy import RunNotFound, StatementNotFound
from settlement.settling import settle_campaign
from settlement.statements import statement_view
from tests.factories import make_staff
from tests.settlement.staging import AFTER, State, make_stage, store_event, store_history


@pytest.fixture
def statement(alice):
    stage = make_stage(State.OPTED_IN, residents=[alice])
    store_history(alice)
    store_event(alice, 0, 0, 0, 0)
    settle_campaign(campaign_id=stage.campaign.pk, at=AFTER)
    return Statement.objects.get(member=alice.member)


def test_alice_sees_her_statement(alice, statement, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        seen = policy.access_statement(alice.user, statement.pk, AFTER)
        view = statement_view(seen)

    assert view.member_number == alice.member.number


def test_bob_sees_the_statement_of_his_household_while_he_is_a_member(alice, bob, statement):
    assert policy.access_statement(bob.user, statement.pk, AFTER) == statement

    bob.left_at = AFTER + timedelta(days=1)
    bob.save()
    with pytest.raises(StatementNotFound):
        policy.access_statement(bob.user, statement.pk, AFTER + timedelta(days=2))


def test_alice_keeps_her_statement_after_leaving(alice, statement):
    alice.member.left_at = AFTER + timedelta(days=1)
    alice.member.save()

    assert policy.access_statement(alice.user, statement.pk, AFTER + timedelta(days=2)) == statement


def test_strangers_are_told_there_is_no_such_statement(carol, sam, statement):
    for stranger in (carol.user, sam, AnonymousUser()):
        with pytest.raises(StatementNotFound):
            policy.access_statement(stranger, statement.pk, AFTER)


def test_an_unknown_statement_answers_like_somebody_elses(alice):
    with pytest.raises(StatementNotFound):
        policy.access_statement(alice.user, uuid4(), AFTER)


@pytest.mark.parametrize("role", policy.STAFF)
def test_staff_whose_work_it_is_see_it(statement, role):
    staff = make_staff("fay@example.org", role)

    run = statement.round.runs.get()
    assert policy.access_statement(staff, statement.pk, AFTER) == statement
    assert policy.access_run(staff, run.pk) == run
    with pytest.raises(RunNotFound):
        policy.access_run(staff, uuid4())


def test_a_dispatcher_neither_sees_runs_nor_settles(sam, statement):
    with pytest.raises(Forbidden):
        policy.access_run(sam, statement.round.runs.get().pk)
    with pytest.raises(Forbidden):
        policy.require_may_settle(sam)


def test_finance_may_settle_and_an_auditor_may_not(db):
    policy.require_may_settle(make_staff("fay@example.org", Role.FINANCE))
    with pytest.raises(Forbidden):
        policy.require_may_settle(make_staff("audrey@example.org", Role.AUDITOR))

"""Results and statements of a settled event: told once, revised ones only to whose line changed."""

from __future__ import annotations

import pytest

from members.models import Role
from notices import facts
from notices.kinds import Kind
from notices.models import Notice
from opendsr.kernel import outbox
from opendsr.web import telling
from settlement import rounds
from settlement.models import RoundKind
from tests.factories import make_staff
from tests.web.scene import NOW, Scene

pytestmark = pytest.mark.django_db


def test_a_result_is_told_once_with_what_the_home_did(scene: Scene):
    telling.tell_result(run_id=scene.run.pk, at=NOW)
    first = Notice.objects.filter(kind=Kind.EVENT_RESULT, about=scene.past.pk)
    assert {notice.member for notice in first} == {scene.alice.member, scene.bob, scene.carol.member}
    told_of = facts.of(first.get(member=scene.alice.member))
    assert told_of["delivered_wh"] == scene.line_of(scene.alice).delivered_wh
    assert told_of["statement_id"] == str(scene.statement_of(scene.alice).pk)

    assert telling.tell_result(run_id=scene.run.pk, at=NOW).notices == 0


def test_a_final_round_tells_of_its_statements_and_of_no_change_where_there_is_none(scene: Scene):
    assert telling.tell_statement(round_id=scene.run.round_id, at=NOW).notices == 0, "provisional"
    round = rounds.propose_round(
        programme_code=scene.past.programme_id,
        kind=RoundKind.FINAL,
        campaign_ids=[scene.past.pk],
        at=NOW,
        by=scene.fay,
    )
    rounds.compute_round(round_id=round.pk, at=NOW)
    rounds.approve_round(round_id=round.pk, at=NOW, by=make_staff("flo@example.org", Role.FINANCE))
    outbox.drain()

    ready = Notice.objects.filter(kind=Kind.STATEMENT_READY, about=round.pk)
    assert {notice.member for notice in ready} == {scene.alice.member, scene.bob, scene.carol.member}
    assert facts.of(ready[0])["events"] == 1
    assert not Notice.objects.filter(kind=Kind.REVISED_RESULT).exists(), "nothing changed for anybody"
    assert telling.tell_statement(round_id=round.pk, at=NOW).notices == 0

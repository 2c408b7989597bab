"""Who may see money: a household its own statements, staff whose work it is everybody's."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from members.models import Role
from members.policy import Viewer, has_role, require_role
from members.queries import member_of
from opendsr.kernel.errors import NotFound
from settlement.models import SettlementRound, SettlementRun, Statement

STAFF: Final = (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR, Role.MEMBER_SERVICES)
SEES_MONEY: Final = (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
MAY_SETTLE: Final = (Role.ADMINISTRATOR, Role.FINANCE)


class StatementNotFound(NotFound):
    """No such statement for this user."""

    statement_id: str


class RunNotFound(NotFound):
    """No such settlement run."""

    run_id: str


class RoundNotFound(NotFound):
    """No such settlement round."""

    round_id: str


def access_statement(user: Viewer, statement_id: UUID, at: datetime) -> Statement:
    """The statement: for the member it was issued to, for people of the same household while their
    membership runs, and for staff. Raises StatementNotFound for strangers.

    A member keeps the door to their own statements after leaving the co-op.
    """
    found = Statement.objects.select_related("round__programme", "occupancy__home", "member")
    statement = found.filter(pk=statement_id).first()
    if statement is None or not _may_see(user, statement, at):
        raise StatementNotFound(statement_id=str(statement_id))
    return statement


def access_run(user: Viewer, run_id: UUID) -> SettlementRun:
    """A settlement run, for staff who deal with money; raises Forbidden, RunNotFound."""
    require_role(user, *STAFF)
    run = (
        SettlementRun.objects.select_related("campaign__programme", "terms", "round")
        .filter(pk=run_id)
        .first()
    )
    if run is None:
        raise RunNotFound(run_id=str(run_id))
    return run


def access_round(user: Viewer, round_id: UUID) -> SettlementRound:
    """A settlement round, for finance, administrators and auditors; raises Forbidden, RoundNotFound."""
    require_role(user, *SEES_MONEY)
    found = SettlementRound.objects.select_related("programme", "proposed_by", "decision__by", "progress")
    round = found.filter(pk=round_id).first()
    if round is None:
        raise RoundNotFound(round_id=str(round_id))
    return round


def require_sees_money(user: Viewer) -> None:
    """Raise Forbidden unless the user may look at rounds, payments and disputes."""
    require_role(user, *SEES_MONEY)


def require_may_settle(user: Viewer) -> None:
    """Raise Forbidden unless the user may settle a campaign."""
    require_role(user, *MAY_SETTLE)


def _may_see(user: Viewer, statement: Statement, at: datetime) -> bool:
    if not (user.is_authenticated and user.is_active):
        return False
    member = member_of(user)
    if member is not None:
        if member.pk == statement.member_id:
            return True
        if member.household_id == statement.occupancy.household_id and member.is_current(at):
            return True
    return has_role(user, *STAFF)

"""Who may see money: a household its own statements, staff whose work it is everybody's."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from members import queries as queries_of_members
from members.models import Role
from members.policy import Viewer, has_role, require_role
from members.queries import member_of
from opendsr.kernel import reads
from opendsr.kernel.errors import NotFound
from settlement import queries
from settlement.models import HomeDelivery, SettlementRound, SettlementRun, Statement
from settlement.study_models import PlaceboStudy

STAFF: Final = (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR, Role.MEMBER_SERVICES)
SEES_MONEY: Final = (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
MAY_SETTLE: Final = (Role.ADMINISTRATOR, Role.FINANCE)
SEES_BASELINES: Final = (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
SEES_FIGURES: Final = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.FINANCE, Role.AUDITOR)
"""The co-op's figures by month: totals alone, never a home."""


class StatementNotFound(NotFound):
    """No such statement for this user."""

    statement_id: str


class RunNotFound(NotFound):
    """No such settlement run."""

    run_id: str


class RoundNotFound(NotFound):
    """No such settlement round."""

    round_id: str


class DeliveryNotFound(NotFound):
    """The household has no settled part in the campaign."""

    campaign_id: str
    occupancy_id: str


class NotSettled(NotFound):
    """The campaign is not settled."""

    campaign_id: str


class StudyNotFound(NotFound):
    """No such placebo study."""

    study_id: str


def access_statement(user: Viewer, statement_id: UUID, at: datetime) -> Statement:
    """The statement: for the member it was issued to, for people of the same household while their
    membership runs, and for staff. Raises StatementNotFound for strangers.

    A member keeps the door to their own statements after leaving the co-op.
    """
    found = Statement.objects.select_related("round__programme", "occupancy__home", "member")
    statement = found.filter(pk=statement_id).first()
    if statement is None or not _may_see(user, statement, at):
        raise StatementNotFound(statement_id=str(statement_id))
    reads.note("statement", {statement.member_id})
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


def may_settle(user: Viewer) -> bool:
    """True for those who may settle campaigns and start placebo studies."""
    return has_role(user, *MAY_SETTLE)


def may_see_baselines(user: Viewer) -> bool:
    """True for those who may look at rules, studies and every home's baseline."""
    return has_role(user, *SEES_BASELINES)


def require_sees_baselines(user: Viewer) -> None:
    """Raise Forbidden unless the user may look at rules, studies and every home's baseline."""
    require_role(user, *SEES_BASELINES)


def access_study(user: Viewer, study_id: UUID) -> PlaceboStudy:
    """The study, for those who may look at baselines; raises Forbidden, studying.StudyNotFound."""
    require_sees_baselines(user)
    study = PlaceboStudy.objects.select_related("programme").filter(pk=study_id).first()
    if study is None:
        raise StudyNotFound(study_id=str(study_id))
    return study


def access_delivery(user: Viewer, campaign_id: UUID, occupancy_id: UUID) -> HomeDelivery:
    """The household's line in the run that stands for the campaign; raises Forbidden, DeliveryNotFound."""
    require_sees_baselines(user)
    run = queries.newest_run(campaign_id)
    lines = HomeDelivery.objects.filter(run=run, occupancy_id=occupancy_id) if run is not None else None
    delivery = None
    if lines is not None:
        delivery = lines.select_related("run__campaign", "run__terms", "occupancy__home").first()
    if delivery is None:
        raise DeliveryNotFound(campaign_id=str(campaign_id), occupancy_id=str(occupancy_id))
    reads.note_readings([occupancy_id])
    return delivery


def access_standing_run(user: Viewer, campaign_id: UUID) -> SettlementRun:
    """The run that stands for the campaign, for who may look at baselines; raises Forbidden, NotSettled."""
    require_sees_baselines(user)
    run = queries.newest_run(campaign_id)
    if run is None:
        raise NotSettled(campaign_id=str(campaign_id))
    return run


def home_names(user: Viewer, occupancy_ids: Collection[str]) -> dict[str, str]:
    """Names of the homes by occupancy id, for those who may look at baselines; raises Forbidden."""
    require_sees_baselines(user)
    names = queries_of_members.home_names(UUID(each) for each in occupancy_ids)
    return {str(occupancy_id): name for occupancy_id, name in names.items()}


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

"""Sets the scene for campaign tests: a programme, planned campaigns, hubs that answer, and a VTN on paper."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np

from assets.models import Asset
from campaigns import approving, creating, dispatching
from campaigns.models import (
    Campaign,
    CampaignRule,
    OptRecord,
    Participation,
    PlanLine,
    Programme,
    UseCase,
)
from campaigns.monitoring import receive_opt
from members.queries import current_occupancies
from metering.ingest import store_readings
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import day_interval
from tests.factories import HubKit, Resident, make_hub, make_resident
from vtn.port import (
    Acknowledgement,
    Addressee,
    Cursor,
    EventClosed,
    EventNotice,
    Opt,
    Report,
    UnknownEvent,
    UnknownVen,
    VenId,
    Vtn,
    VtnEventId,
)

# A Wednesday; 16:00 to 18:00 GMT.
NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
STARTS_AT = datetime(2026, 1, 14, 16, tzinfo=UTC)
ENDS_AT = datetime(2026, 1, 14, 18, tzinfo=UTC)
DURING = STARTS_AT + timedelta(minutes=40)
AFTER = ENDS_AT + timedelta(minutes=1)

_sequences = itertools.count(1)


def make_programme(**fields: object) -> Programme:
    """A market programme; the same one however often it is asked for."""
    programme, _ = Programme.objects.update_or_create(
        code="fast-dr",
        defaults={
            "name": "Fast DR Dispatch",
            "use_case": UseCase.MARKET,
            "market_context": "http://coop.example/fast-dr",
            "settlement_terms_id": UUID(int=7),
            "notification_seconds": 900,
            "start_tolerance_seconds": 300,
            **fields,
        },
    )
    return programme


def make_rules(**fields: object) -> CampaignRule:
    """Rules by which the mean decides, not what is nearly sure; unless told otherwise."""
    wanted = {
        "second_from_w": 1_000_000,
        "substation_w_per_minute": 1_000_000,
        "chance_pct": 50,
        "most_asks": 12,
        "why": "a test",
        "set_at": NOON,
    }
    return CampaignRule.objects.create(**{**wanted, **fields})


def make_campaign(**fields: object) -> Campaign:
    """A draft that turns 5 kW down everywhere from STARTS_AT to ENDS_AT, made at NOON."""
    wanted: dict[str, object] = {
        "programme": make_programme(),
        "name": "Evening peak",
        "direction": "turn_down",
        "zone_kind": "everywhere",
        "zone": "",
        "size_w": 5_000,
        "starts_at": STARTS_AT,
        "ends_at": ENDS_AT,
        "at": NOON,
        "by": None,
    }
    return creating.create_campaign(**{**wanted, **fields})  # type: ignore[arg-type]


def make_planned(assets: Mapping[Asset, int] | Iterable[Asset], **fields: object) -> Campaign:
    """A campaign planned by hand: these assets are in, with their expected W (1,000 each when not given)."""
    expected_w = assets if isinstance(assets, Mapping) else dict.fromkeys(assets, 1_000)
    campaign = make_campaign(**fields)
    stays = current_occupancies({asset.hub.home_id for asset in expected_w}, campaign.starts_at)
    PlanLine.objects.bulk_create(
        PlanLine(campaign=campaign, asset=asset, occupancy=stays[asset.hub.home_id], expected_w=power_w)
        for asset, power_w in expected_w.items()
    )
    campaign.state = Campaign.State.PLANNED
    campaign.planned_at = NOON
    campaign.save()
    return campaign


def make_approved(assets: Mapping[Asset, int] | Iterable[Asset], **fields: object) -> Campaign:
    """A planned campaign, approved when it was made and not sent."""
    campaign = make_planned(assets, **fields)
    approving.approve_campaign(campaign_id=campaign.pk, at=campaign.created_at, by=None)
    campaign.refresh_from_db()
    return campaign


def make_dispatched(assets: Mapping[Asset, int] | Iterable[Asset], **fields: object) -> Campaign:
    """A planned campaign, approved and sent when it was made."""
    campaign = make_approved(assets, **fields)
    dispatching.dispatch_campaign(campaign_id=campaign.pk, at=campaign.created_at)
    campaign.refresh_from_db()
    return campaign


def make_ready_home(*kinds: str, through_vtn: bool = False, **fields: object) -> tuple[Resident, HubKit]:
    """A consenting household with a commissioned hub and an asset of each kind, an EV charger by default."""
    resident = make_resident(**fields)  # type: ignore[arg-type]
    return resident, make_hub(resident.home, kinds=kinds or ("ev_charger",), through_vtn=through_vtn)


def make_history(
    use_w: Mapping[UUID, int],
    *,
    starts_on: date = date(2025, 12, 1),
    ends_on: date = date(2026, 1, 14),
    known_at: datetime = NOON,
) -> None:
    """Half-hourly readings at an even power by stream, over the Europe/London days [starts_on, ends_on)."""
    interval = Interval(day_interval(starts_on).starts_at, day_interval(ends_on).starts_at)
    times = list(interval.half_hours())
    powers_w = np.array(list(use_w.values()), dtype=np.int64)
    store_readings(
        source="opendsr_csv",
        name=f"history {next(_sequences)}",
        at=known_at,
        stream_ids=list(use_w),
        starts_at=times,
        import_wh=np.repeat(powers_w[:, np.newaxis] // 2, len(times), axis=1),
    )


def part_of(campaign: Campaign, asset: Asset) -> Participation:
    """The asset's participation as the database has it."""
    return Participation.objects.select_related("campaign", "asset").get(campaign=campaign, asset=asset)


def answer(
    part: Participation, opt: str, *, at: datetime, reason: str = "", sequence: int | None = None
) -> Participation:
    """The hub answers the participation's event, as the VTN would pass it on."""
    receive_opt(
        event_id=part.vtn_event_id,
        opt=opt,
        reason=reason,
        sequence=next(_sequences) if sequence is None else sequence,
        received_at=at,
    )
    part.refresh_from_db()
    return part


def opts_of(part: Participation) -> list[tuple[str, str]]:
    """(opt, source) of the participation's records, oldest first."""
    return list(OptRecord.objects.filter(participation=part).order_by("id").values_list("opt", "source"))


@dataclass
class PaperEvent:
    """One event of the VTN on paper."""

    key: str
    notice: EventNotice
    modification_number: int = 0
    is_cancelled: bool = False


@dataclass
class PaperVtn:
    """A VTN that keeps its events in memory and trusts every VEN but those told."""

    events: dict[VtnEventId, PaperEvent] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)

    def publish(self, notice: EventNotice, *, key: str, at: datetime) -> VtnEventId:
        return self.publish_many({key: notice}, at=at)[key]

    def publish_many(self, notices: Mapping[str, EventNotice], *, at: datetime) -> dict[str, VtnEventId]:
        for notice in notices.values():
            if notice.ven_id in self.unknown:
                raise UnknownVen(ven_id=notice.ven_id)
        known = {event.key: event_id for event_id, event in self.events.items()}
        for key, notice in notices.items():
            if key not in known:
                known[key] = VtnEventId(f"E-{len(self.events) + 1}")
                self.events[known[key]] = PaperEvent(key=key, notice=notice)
        return {key: known[key] for key in notices}

    def publish_alike(
        self, alike: Iterable[tuple[EventNotice, Sequence[Addressee]]], *, at: datetime
    ) -> dict[str, VtnEventId]:
        return self.publish_many(
            {
                key: replace(notice, ven_id=ven_id, resource_ids=resource_ids)
                for notice, told in alike
                for key, ven_id, resource_ids in told
            },
            at=at,
        )

    def amend(self, event_id: VtnEventId, notice: EventNotice, *, at: datetime, reason: str = "") -> int:
        event = self._event(event_id)
        if event.is_cancelled:
            raise EventClosed(event_id=event_id, state="cancelled")
        if event.notice != notice:
            event.notice = notice
            event.modification_number += 1
        return event.modification_number

    def cancel(self, event_id: VtnEventId, *, at: datetime, reason: str = "") -> None:
        event = self._event(event_id)
        event.modification_number += not event.is_cancelled
        event.is_cancelled = True

    def cancel_many(self, event_ids: Iterable[VtnEventId], *, at: datetime, reason: str = "") -> None:
        for event_id in event_ids:
            self.cancel(event_id, at=at, reason=reason)

    def opts_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Opt], Cursor]:
        return [], cursor

    def reports_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Report], Cursor]:
        return [], cursor

    def acknowledgement(self, event_id: VtnEventId, *, at: datetime) -> Acknowledgement:
        raise UnknownEvent(event_id=event_id)

    def acknowledgements(
        self, event_ids: Iterable[VtnEventId], *, at: datetime
    ) -> dict[VtnEventId, Acknowledgement]:
        return {}

    def trusted(self, ven_ids: Iterable[VenId]) -> set[VenId]:
        return {ven_id for ven_id in ven_ids if ven_id not in self.untrusted}

    def live(self) -> list[PaperEvent]:
        """The events not called off."""
        return [event for event in self.events.values() if not event.is_cancelled]

    def _event(self, event_id: VtnEventId) -> PaperEvent:
        if event_id not in self.events:
            raise UnknownEvent(event_id=event_id)
        return self.events[event_id]


def _conforms(vtn: PaperVtn) -> Vtn:
    return vtn

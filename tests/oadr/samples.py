"""Messages for the tests of the wire: hypothesis strategies, and where the sample files others wrote are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from oadr import messages as m

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "openadr-samples"


def verdicts() -> list[tuple[str, bool]]:
    """Return (file, is valid) as the samples' own README states; empty where they are absent."""
    readme = SAMPLES / "README.md"
    if not readme.exists():
        return []
    rows = re.findall(r"^(OK |BAD) (\S+\.xml) ", readme.read_text(), re.MULTILINE)
    return [(name, verdict.strip() == "OK") for verdict, name in rows]


# What XML 1.0 can carry and a parser gives back unchanged.
plain_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xD7FF), max_size=20)
ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
datetimes = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
durations = st.integers(0, 10**8)
signed_durations = st.integers(-(10**6), 10**6)
floats = st.floats(allow_nan=False)
unsigned = st.integers(0, 2**32 - 1)

responses = st.builds(m.EiResponse, st.integers(0, 999), plain_texts, plain_texts)
targets = st.builds(
    m.Target,
    **{
        name: st.lists(ids, max_size=2).map(tuple)
        for name in (
            "ven_ids",
            "group_ids",
            "group_names",
            "resource_ids",
            "party_ids",
            "end_device_assets",
            "meter_assets",
            "pnodes",
            "aggregated_pnodes",
            "service_delivery_points",
        )
    },
    service_areas=st.just(("52.1 -1.2 52.3 -1.2 52.3 -1.4",)) | st.just(()),
    service_locations=st.just(()),
    transport_interfaces=st.lists(st.tuples(ids, ids), max_size=1).map(tuple),
)
units = st.sampled_from(
    [
        None,
        m.Unit("powerReal", "RealPower", "W", "k", hertz="50", voltage="230", is_ac=True),
        m.Unit("energyReal", "RealEnergy", "Wh", "none"),
        m.Unit("currencyPerKWh", "currencyPerKWh", "GBP", "none"),
        m.Unit("customUnit", "percent", "%", "none"),
        m.Unit("pulseCount", "pulse count", "count", pulse_factor=0.5),
        m.Unit("voltage", "Voltage", "V", "m"),
    ]
)
qualified = st.builds(m.QualifiedEventId, ids, unsigned)
periods = st.builds(
    m.ActivePeriod,
    starts_at=datetimes,
    duration_seconds=durations,
    start_tolerance_seconds=durations,
    notification_seconds=durations,
    ramp_up_seconds=signed_durations,
    recovery_seconds=signed_durations,
)
signals = st.builds(
    m.Signal,
    name=st.sampled_from(["SIMPLE", "ELECTRICITY_PRICE", "LOAD_DISPATCH", "x-own"]),
    type=st.sampled_from(["level", "price", "setpoint", "delta"]),
    signal_id=ids,
    intervals=st.lists(
        st.builds(m.SignalInterval, durations, floats, st.integers(0, 99).map(str)), min_size=1, max_size=3
    ).map(tuple),
    target=st.none() | targets,
    unit=units,
    current_value=st.none() | floats,
)
events = st.builds(
    m.Event,
    event_id=ids,
    modification_number=unsigned,
    market_context=st.just("https://coop.example/market"),
    created_at=datetimes,
    status=st.sampled_from(["none", "far", "near", "active", "completed", "cancelled"]),
    active_period=periods,
    signals=st.lists(signals, min_size=1, max_size=2).map(tuple),
    target=targets,
    is_response_required=st.booleans(),
    priority=unsigned,
    test_event=st.sampled_from(["false", "true"]),
    vtn_comment=plain_texts,
    modified_at=st.none() | datetimes,
    modification_reason=plain_texts,
)
controls = st.none() | st.builds(m.LoadControlState, floats, floats, floats, floats)
values = st.builds(
    m.ReportValue,
    r_id=ids,
    value=floats
    | st.builds(m.ResourceStatus, st.booleans(), st.booleans(), controls, controls, controls, controls),
    data_quality=st.sampled_from(["", "Quality Good - Non Specific"]),
    confidence=st.none() | st.integers(0, 100),
    accuracy=st.none() | floats,
)
descriptions = st.builds(
    m.ReportDescription,
    r_id=ids,
    report_type=st.sampled_from(["usage", "reading"]),
    reading_type=st.sampled_from(["Direct Read", "x-notApplicable"]),
    unit=units,
    subject=st.none() | targets,
    data_source=st.none() | targets,
    market_context=st.sampled_from(["", "https://coop.example/market"]),
    sampling_rate=st.none() | st.builds(m.SamplingRate, durations, durations, st.booleans()),
)
reports = st.builds(
    m.Report,
    report_request_id=ids,
    report_specifier_id=ids,
    created_at=datetimes,
    report_name=st.sampled_from(["", "METADATA_TELEMETRY_USAGE", "TELEMETRY_USAGE", "TELEMETRY_STATUS"]),
    report_id=st.just("") | ids,
    starts_at=st.none() | datetimes,
    duration_seconds=st.none() | durations,
    descriptions=st.lists(descriptions, max_size=2).map(tuple),
    intervals=st.lists(
        st.builds(
            m.ReportInterval,
            values=st.lists(values, min_size=1, max_size=2).map(tuple),
            starts_at=st.none() | datetimes,
            duration_seconds=st.none() | durations,
            uid=st.sampled_from(["", "0"]),
        ),
        max_size=2,
    ).map(tuple),
)
requests = st.lists(
    st.builds(
        m.ReportRequest,
        report_request_id=ids,
        report_specifier_id=ids,
        granularity_seconds=durations,
        report_back_seconds=durations,
        payloads=st.lists(
            st.builds(m.SpecifierPayload, ids, st.just("Direct Read"), units), min_size=1, max_size=2
        ).map(tuple),
        interval=st.none() | periods,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
info = st.lists(st.tuples(plain_texts, plain_texts), min_size=1, max_size=2).map(tuple)
id_lists = st.lists(ids, max_size=3).map(tuple)
optional_ids = st.just("") | ids
cancel_reports = st.builds(m.CancelReport, ids, id_lists.filter(bool), st.booleans(), optional_ids)

messages = st.one_of(
    st.builds(m.QueryRegistration, plain_texts),
    st.builds(
        m.CreatePartyRegistration,
        request_id=plain_texts,
        registration_id=optional_ids,
        ven_id=optional_ids,
        profile_name=st.sampled_from(["2.0a", "2.0b"]),
        transport_name=st.sampled_from(["simpleHttp", "xmpp"]),
        transport_address=st.sampled_from(["", "https://hub.example/"]),
        is_report_only=st.booleans(),
        has_xml_signature=st.booleans(),
        ven_name=plain_texts,
        is_http_pull=st.none() | st.booleans(),
    ),
    st.builds(
        m.CreatedPartyRegistration,
        response=responses,
        vtn_id=ids,
        registration_id=optional_ids,
        ven_id=optional_ids,
        poll_seconds=st.none() | durations,
        services=st.lists(st.builds(m.ServiceInfo, st.just("EiEvent"), info), max_size=1).map(tuple),
        extensions=st.lists(st.builds(m.ServiceInfo, plain_texts, info), max_size=1).map(tuple),
    ),
    st.builds(m.CancelPartyRegistration, plain_texts, ids, optional_ids),
    st.builds(m.CanceledPartyRegistration, responses, optional_ids, optional_ids),
    st.builds(m.RequestReregistration, ids),
    st.builds(m.Poll, ids),
    st.builds(m.Response, responses, optional_ids),
    st.builds(m.RequestEvent, plain_texts, ids, st.none() | unsigned),
    st.builds(
        m.DistributeEvent, plain_texts, ids, st.lists(events, max_size=2).map(tuple), st.none() | responses
    ),
    st.builds(
        m.CreatedEvent,
        responses,
        ids,
        st.lists(
            st.builds(
                m.EventResponse,
                qualified,
                st.sampled_from(["optIn", "optOut"]),
                plain_texts,
                st.integers(0, 999),
                plain_texts,
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.builds(
        m.CreateOpt,
        request_id=plain_texts,
        opt_id=ids,
        opt_type=st.sampled_from(["optIn", "optOut"]),
        opt_reason=st.sampled_from(["economic", "overrideStatus", "x-own"]),
        ven_id=ids,
        created_at=datetimes,
        event=st.none() | qualified,
        target=targets,
        market_context=st.sampled_from(["", "https://coop.example/market"]),
        availability=st.none()
        | st.lists(st.builds(m.AvailablePeriod, datetimes, durations), max_size=2).map(tuple),
        device_class=st.none() | targets,
    ),
    st.builds(m.CreatedOpt, responses, ids),
    st.builds(m.CancelOpt, plain_texts, ids, ids),
    st.builds(m.CanceledOpt, responses, optional_ids),
    st.builds(m.RegisterReport, ids, st.lists(reports, max_size=2).map(tuple), optional_ids, optional_ids),
    st.builds(m.RegisteredReport, responses, st.just(()) | requests, optional_ids),
    st.builds(m.CreateReport, ids, requests, optional_ids),
    st.builds(m.CreatedReport, responses, id_lists, optional_ids),
    st.builds(m.UpdateReport, ids, st.lists(reports, max_size=2).map(tuple), optional_ids),
    st.builds(m.UpdatedReport, responses, st.none() | cancel_reports, optional_ids),
    cancel_reports,
    st.builds(m.CanceledReport, responses, id_lists, optional_ids),
)


def an_event(**changes: object) -> m.Event:
    """A two-hour SIMPLE event."""
    starts_at = datetime(2026, 11, 24, 17, tzinfo=UTC)
    settings: dict[str, object] = {
        "event_id": "EV-1",
        "modification_number": 0,
        "market_context": "https://coop.example/market",
        "created_at": starts_at - timedelta(hours=3),
        "status": "far",
        "active_period": m.ActivePeriod(starts_at, 7200),
        "signals": (m.Signal("SIMPLE", "level", "0", (m.SignalInterval(7200, 2.0, "0"),)),),
        "target": m.Target(ven_ids=("VEN-1",)),
    }
    return m.Event(**(settings | changes))  # type: ignore[arg-type]

"""EiReport: elements to messages and back."""

from __future__ import annotations

from oadr.elements import (
    EI,
    EMIX,
    OADR,
    PYLD,
    STRM,
    XCAL,
    Element,
    add,
    add_duration,
    add_if,
    add_properties,
    add_response,
    add_start,
    add_target,
    add_uid,
    add_unit,
    boolean_of,
    datetime_of,
    duration_of,
    float_of,
    from_boolean,
    from_float,
    integer_of,
    line_of,
    properties_of,
    require,
    response_of,
    start_of,
    target_of,
    text_of,
    texts_of,
    token_of,
    uid_of,
    unit_of,
)
from oadr.errors import InvalidValue
from oadr.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    LoadControlState,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportDescription,
    ReportInterval,
    ReportRequest,
    ReportValue,
    ResourceStatus,
    SamplingRate,
    SpecifierPayload,
    UpdatedReport,
    UpdateReport,
)
from oadr.timeformat import format_datetime, format_duration, parse_duration

# ---- messages


def read_register_report(root: Element) -> RegisterReport:
    return RegisterReport(
        request_id=text_of(root, PYLD("requestID")),
        reports=tuple(_report_of(element) for element in root.iterfind(OADR("oadrReport"))),
        ven_id=text_of(root, EI("venID")),
        report_request_id=text_of(root, EI("reportRequestID")),
    )


def write_register_report(root: Element, message: RegisterReport) -> None:
    add(root, PYLD("requestID"), message.request_id)
    for report in message.reports:
        _add_report(root, report)
    add_if(root, EI("venID"), message.ven_id)
    add_if(root, EI("reportRequestID"), message.report_request_id)


def read_registered_report(root: Element) -> RegisteredReport:
    return RegisteredReport(
        response=response_of(root),
        report_requests=_requests_of(root),
        ven_id=text_of(root, EI("venID")),
    )


def write_registered_report(root: Element, message: RegisteredReport) -> None:
    add_response(root, message.response)
    _add_requests(root, message.report_requests)
    add_if(root, EI("venID"), message.ven_id)


def read_create_report(root: Element) -> CreateReport:
    return CreateReport(
        request_id=text_of(root, PYLD("requestID")),
        report_requests=_requests_of(root),
        ven_id=text_of(root, EI("venID")),
    )


def write_create_report(root: Element, message: CreateReport) -> None:
    add(root, PYLD("requestID"), message.request_id)
    _add_requests(root, message.report_requests)
    add_if(root, EI("venID"), message.ven_id)


_PENDING = f"{OADR('oadrPendingReports')}/{EI('reportRequestID')}"


def read_created_report(root: Element) -> CreatedReport:
    return CreatedReport(response_of(root), texts_of(root, _PENDING), text_of(root, EI("venID")))


def read_canceled_report(root: Element) -> CanceledReport:
    return CanceledReport(response_of(root), texts_of(root, _PENDING), text_of(root, EI("venID")))


def write_pending_reports(root: Element, message: CreatedReport | CanceledReport) -> None:
    """oadrCreatedReport and oadrCanceledReport carry the same parts."""
    add_response(root, message.response)
    pending = add(root, OADR("oadrPendingReports"))
    for report_request_id in message.pending_report_ids:
        add(pending, EI("reportRequestID"), report_request_id)
    add_if(root, EI("venID"), message.ven_id)


def read_update_report(root: Element) -> UpdateReport:
    return UpdateReport(
        request_id=text_of(root, PYLD("requestID")),
        reports=tuple(_report_of(element) for element in root.iterfind(OADR("oadrReport"))),
        ven_id=text_of(root, EI("venID")),
    )


def write_update_report(root: Element, message: UpdateReport) -> None:
    add(root, PYLD("requestID"), message.request_id)
    for report in message.reports:
        _add_report(root, report)
    add_if(root, EI("venID"), message.ven_id)


def read_updated_report(root: Element) -> UpdatedReport:
    cancel = root.find(OADR("oadrCancelReport"))
    return UpdatedReport(
        response=response_of(root),
        cancel_report=None if cancel is None else read_cancel_report(cancel),
        ven_id=text_of(root, EI("venID")),
    )


def write_updated_report(root: Element, message: UpdatedReport) -> None:
    add_response(root, message.response)
    if message.cancel_report is not None:
        write_cancel_report(add(root, OADR("oadrCancelReport")), message.cancel_report)
    add_if(root, EI("venID"), message.ven_id)


def read_cancel_report(root: Element) -> CancelReport:
    return CancelReport(
        request_id=text_of(root, PYLD("requestID")),
        report_request_ids=texts_of(root, EI("reportRequestID")),
        is_report_to_follow=bool(boolean_of(root, PYLD("reportToFollow"))),
        ven_id=text_of(root, EI("venID")),
    )


def write_cancel_report(root: Element, message: CancelReport) -> None:
    add(root, PYLD("requestID"), message.request_id)
    for report_request_id in message.report_request_ids:
        add(root, EI("reportRequestID"), report_request_id)
    add(root, PYLD("reportToFollow"), from_boolean(message.is_report_to_follow))
    add_if(root, EI("venID"), message.ven_id)


# ---- reports


def _report_of(element: Element) -> Report:
    return Report(
        report_request_id=text_of(element, EI("reportRequestID")),
        report_specifier_id=text_of(element, EI("reportSpecifierID")),
        created_at=datetime_of(element, EI("createdDateTime")),
        report_name=token_of(element, EI("reportName")),
        report_id=text_of(element, EI("eiReportID")),
        starts_at=start_of(element),
        duration_seconds=duration_of(element, XCAL("duration")),
        descriptions=tuple(
            _description_of(description) for description in element.iterfind(OADR("oadrReportDescription"))
        ),
        intervals=tuple(
            _interval_of(interval) for interval in element.iterfind(f"{STRM('intervals')}/{EI('interval')}")
        ),
    )


def _add_report(parent: Element, report: Report) -> None:
    element = add(parent, OADR("oadrReport"))
    if report.starts_at is not None:
        add_start(element, report.starts_at)
    if report.duration_seconds is not None:
        add_duration(element, XCAL("duration"), report.duration_seconds)
    if report.intervals:
        intervals = add(element, STRM("intervals"))
        for interval in report.intervals:
            _add_interval(intervals, interval)
    add_if(element, EI("eiReportID"), report.report_id)
    for description in report.descriptions:
        _add_description(element, description)
    add(element, EI("reportRequestID"), report.report_request_id)
    add(element, EI("reportSpecifierID"), report.report_specifier_id)
    add_if(element, EI("reportName"), report.report_name)
    add(element, EI("createdDateTime"), format_datetime(report.created_at))


def _description_of(element: Element) -> ReportDescription:
    rate = element.find(OADR("oadrSamplingRate"))
    return ReportDescription(
        r_id=text_of(element, EI("rID")),
        report_type=token_of(element, EI("reportType")),
        reading_type=token_of(element, EI("readingType")),
        unit=unit_of(element),
        subject=target_of(element, EI("reportSubject")),
        data_source=target_of(element, EI("reportDataSource")),
        market_context=token_of(element, EMIX("marketContext")),
        sampling_rate=None
        if rate is None
        else SamplingRate(
            min_seconds=parse_duration(text_of(rate, OADR("oadrMinPeriod"))),
            max_seconds=parse_duration(text_of(rate, OADR("oadrMaxPeriod"))),
            is_on_change=bool(boolean_of(rate, OADR("oadrOnChange"))),
        ),
    )


def _add_description(parent: Element, description: ReportDescription) -> None:
    element = add(parent, OADR("oadrReportDescription"))
    add(element, EI("rID"), description.r_id)
    if description.subject is not None:
        add_target(element, EI("reportSubject"), description.subject)
    if description.data_source is not None:
        add_target(element, EI("reportDataSource"), description.data_source)
    add(element, EI("reportType"), description.report_type)
    if description.unit is not None:
        add_unit(element, description.unit)
    add(element, EI("readingType"), description.reading_type)
    add_if(element, EMIX("marketContext"), description.market_context)
    if description.sampling_rate is not None:
        rate = add(element, OADR("oadrSamplingRate"))
        add(rate, OADR("oadrMinPeriod"), format_duration(description.sampling_rate.min_seconds))
        add(rate, OADR("oadrMaxPeriod"), format_duration(description.sampling_rate.max_seconds))
        add(rate, OADR("oadrOnChange"), from_boolean(description.sampling_rate.is_on_change))


# ---- intervals and values


def _interval_of(element: Element) -> ReportInterval:
    return ReportInterval(
        values=tuple(_value_of(value) for value in element.iterfind(OADR("oadrReportPayload"))),
        starts_at=start_of(element),
        duration_seconds=duration_of(element, XCAL("duration")),
        uid=uid_of(element),
    )


def _add_interval(parent: Element, interval: ReportInterval) -> None:
    element = add(parent, EI("interval"))
    if interval.starts_at is not None:
        add_start(element, interval.starts_at)
    if interval.duration_seconds is not None:
        add_duration(element, XCAL("duration"), interval.duration_seconds)
    if interval.uid:
        add_uid(element, interval.uid)
    for value in interval.values:
        _add_value(element, value)


def _value_of(element: Element) -> ReportValue:
    status = element.find(OADR("oadrPayloadResourceStatus"))
    number = element.find(EI("payloadFloat"))
    value = None if number is None else float_of(number, EI("value"))
    if status is None and value is None:
        raise InvalidValue("a report value that is neither number nor status", line=line_of(element))
    return ReportValue(
        r_id=text_of(element, EI("rID")),
        value=_status_of(status) if status is not None else value or 0.0,
        data_quality=token_of(element, OADR("oadrDataQuality")),
        confidence=integer_of(element, EI("confidence")),
        accuracy=float_of(element, EI("accuracy")),
    )


def _add_value(parent: Element, value: ReportValue) -> None:
    element = add(parent, OADR("oadrReportPayload"))
    add(element, EI("rID"), value.r_id)
    if value.confidence is not None:
        add(element, EI("confidence"), str(value.confidence))
    if value.accuracy is not None:
        add(element, EI("accuracy"), from_float(value.accuracy))
    if isinstance(value.value, ResourceStatus):
        _add_status(element, value.value)
    else:
        add(add(element, EI("payloadFloat")), EI("value"), from_float(value.value))
    add_if(element, OADR("oadrDataQuality"), value.data_quality)


_CONTROLS = (
    ("oadrCapacity", "capacity"),
    ("oadrLevelOffset", "level_offset"),
    ("oadrPercentOffset", "percent_offset"),
    ("oadrSetPoint", "set_point"),
)


def _status_of(element: Element) -> ResourceStatus:
    state = element.find(OADR("oadrLoadControlState"))
    controls = {name: None if state is None else _control_of(state, OADR(local)) for local, name in _CONTROLS}
    return ResourceStatus(
        is_online=bool(boolean_of(element, OADR("oadrOnline"))),
        is_manual_override=bool(boolean_of(element, OADR("oadrManualOverride"))),
        **controls,
    )


def _add_status(parent: Element, status: ResourceStatus) -> None:
    element = add(parent, OADR("oadrPayloadResourceStatus"))
    add(element, OADR("oadrOnline"), from_boolean(status.is_online))
    add(element, OADR("oadrManualOverride"), from_boolean(status.is_manual_override))
    controls = (status.capacity, status.level_offset, status.percent_offset, status.set_point)
    if not any(controls):
        return
    state = add(element, OADR("oadrLoadControlState"))
    for (local, _), control in zip(_CONTROLS, controls, strict=True):
        if control is None:
            continue
        item = add(state, OADR(local))
        for tag, number in (
            ("oadrMin", control.minimum),
            ("oadrMax", control.maximum),
            ("oadrCurrent", control.current),
            ("oadrNormal", control.normal),
        ):
            if number is not None:
                add(item, OADR(tag), from_float(number))


def _control_of(parent: Element, tag: str) -> LoadControlState | None:
    element = parent.find(tag)
    if element is None:
        return None
    return LoadControlState(
        current=float_of(element, OADR("oadrCurrent")) or 0.0,
        minimum=float_of(element, OADR("oadrMin")),
        maximum=float_of(element, OADR("oadrMax")),
        normal=float_of(element, OADR("oadrNormal")),
    )


# ---- requests


def _requests_of(root: Element) -> tuple[ReportRequest, ...]:
    return tuple(_request_of(element) for element in root.iterfind(OADR("oadrReportRequest")))


def _request_of(element: Element) -> ReportRequest:
    specifier = require(element, EI("reportSpecifier"))
    interval = specifier.find(EI("reportInterval"))
    return ReportRequest(
        report_request_id=text_of(element, EI("reportRequestID")),
        report_specifier_id=text_of(specifier, EI("reportSpecifierID")),
        granularity_seconds=duration_of(specifier, XCAL("granularity")) or 0,
        report_back_seconds=duration_of(specifier, EI("reportBackDuration")) or 0,
        payloads=tuple(
            SpecifierPayload(
                r_id=text_of(payload, EI("rID")),
                reading_type=token_of(payload, EI("readingType")),
                unit=unit_of(payload),
            )
            for payload in specifier.iterfind(EI("specifierPayload"))
        ),
        interval=None if interval is None else properties_of(interval),
    )


def _add_requests(root: Element, requests: tuple[ReportRequest, ...]) -> None:
    for request in requests:
        element = add(root, OADR("oadrReportRequest"))
        add(element, EI("reportRequestID"), request.report_request_id)
        specifier = add(element, EI("reportSpecifier"))
        add(specifier, EI("reportSpecifierID"), request.report_specifier_id)
        add_duration(specifier, XCAL("granularity"), request.granularity_seconds)
        add_duration(specifier, EI("reportBackDuration"), request.report_back_seconds)
        if request.interval is not None:
            add_properties(add(specifier, EI("reportInterval")), request.interval, is_event=False)
        for payload in request.payloads:
            item = add(specifier, EI("specifierPayload"))
            add(item, EI("rID"), payload.r_id)
            if payload.unit is not None:
                add_unit(item, payload.unit)
            add(item, EI("readingType"), payload.reading_type)

"""What clients in homes get wrong, one test a tolerance; each is named in what was parsed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oadr import codec
from oadr import messages as m
from oadr.errors import SchemaInvalid

NAMESPACES = (
    b'xmlns:oadr="http://openadr.org/oadr-2.0b/2012/07" '
    b'xmlns:ei="http://docs.oasis-open.org/ns/energyinterop/201110" '
    b'xmlns:pyld="http://docs.oasis-open.org/ns/energyinterop/201110/payloads" '
    b'xmlns:power="http://docs.oasis-open.org/ns/emix/2011/06/power" '
    b'xmlns:xcal="urn:ietf:params:xml:ns:icalendar-2.0"'
)
POLL = codec.serialise(m.Poll("VEN-1"))
ANSWERED = codec.serialise(
    m.CreatedEvent(m.EiResponse(), "VEN-1", (m.EventResponse(m.QualifiedEventId("E", 0), "optIn", "R"),))
)


def test_a_sound_message_needs_no_tolerance() -> None:
    assert codec.parse_body(POLL).tolerances == ()


def test_schema_version_without_its_namespace() -> None:
    parsed = codec.parse_body(POLL.replace(b"ei:schemaVersion", b"schemaVersion"))

    assert parsed.message == m.Poll("VEN-1")
    assert parsed.tolerances == ("unqualified_schema_version",)


def test_no_schema_version_at_all() -> None:
    assert codec.parse(POLL.replace(b' ei:schemaVersion="2.0b"', b"")) == m.Poll("VEN-1")


def test_opt_type_none_means_no_decision() -> None:
    parsed = codec.parse_body(ANSWERED.replace(b">optIn<", b">none<"))

    assert isinstance(parsed.message, m.CreatedEvent)
    assert parsed.message.event_responses[0].opt_type == "none"
    assert parsed.tolerances == ("opt_type_none",)


def test_empty_event_responses() -> None:
    start, end = ANSWERED.index(b"<ei:eventResponse>"), ANSWERED.index(b"</ei:eventResponses>")

    message = codec.parse(ANSWERED[:start] + ANSWERED[end:])

    assert isinstance(message, m.CreatedEvent)
    assert message.event_responses == ()


def test_a_transport_address_of_none_is_no_address() -> None:
    body = codec.serialise(m.CreatePartyRegistration("R", transport_address="None"))

    message = codec.parse(body)

    assert isinstance(message, m.CreatePartyRegistration)
    assert message.transport_address == ""


def test_metadata_of_pyoadr_ven() -> None:
    body = (
        b"<oadr:oadrPayload " + NAMESPACES + b"><oadr:oadrSignedObject>"
        b'<oadr:oadrRegisterReport schemaVersion="2.0b"><pyld:requestID>R</pyld:requestID><oadr:oadrReport>'
        b"<xcal:duration><xcal:duration>PT300S</xcal:duration></xcal:duration><oadr:oadrReportDescription>"
        b"<ei:rID>actual_power</ei:rID><ei:reportType>reading</ei:reportType><oadr:PowerRealType>"
        b"<power:itemDescription>RealPower</power:itemDescription><power:itemUnits>W</power:itemUnits>"
        b"</oadr:PowerRealType><ei:readingType>Direct Read</ei:readingType></oadr:oadrReportDescription>"
        b"<ei:reportSpecifierID>telemetry</ei:reportSpecifierID>"
        b"<ei:reportName>METADATA_TELEMETRY_USAGE</ei:reportName>"
        b"<ei:createdDateTime>2026-11-24T12:00:00Z</ei:createdDateTime></oadr:oadrReport>"
        b"<ei:venID>VEN-1</ei:venID></oadr:oadrRegisterReport></oadr:oadrSignedObject></oadr:oadrPayload>"
    )

    parsed = codec.parse_body(body)

    assert isinstance(parsed.message, m.RegisterReport)
    report = parsed.message.reports[0]
    assert report.report_request_id == "0"
    assert report.descriptions[0].unit is not None
    assert report.descriptions[0].unit.name == "powerReal"
    assert set(parsed.tolerances) == {
        "unqualified_schema_version",
        "power_real_type",
        "metadata_without_request_id",
    }


def test_an_answer_without_request_ids() -> None:
    bare = ANSWERED.replace(b"<pyld:requestID></pyld:requestID>", b"").replace(
        b"<pyld:requestID>R</pyld:requestID>", b""
    )

    parsed = codec.parse_body(bare)

    assert isinstance(parsed.message, m.CreatedEvent)
    assert (parsed.message.response.request_id, parsed.message.event_responses[0].request_id) == ("", "")
    assert parsed.tolerances == ("answer_without_request_id",)


UPDATE = codec.serialise(
    m.UpdateReport(
        "R",
        (
            m.Report(
                "RR-1",
                "home",
                datetime(2026, 11, 24, 12, tzinfo=UTC),
                "TELEMETRY_USAGE",
                intervals=(
                    m.ReportInterval(
                        (m.ReportValue("power", 1500.0), m.ReportValue("heat", 2.0)),
                        datetime(2026, 11, 24, 12, tzinfo=UTC),
                        60,
                    ),
                ),
            ),
        ),
        "VEN-1",
    )
)


def test_report_values_under_each_others_namespace() -> None:
    swapped = UPDATE.replace(b"oadr:oadrReportPayload", b"ei:oadrReportPayload").replace(
        b"ei:payloadFloat", b"oadr:payloadFloat"
    )

    parsed = codec.parse_body(swapped)

    assert parsed.message == codec.parse(UPDATE)
    assert parsed.tolerances == ("report_values_in_the_other_namespace",)


def test_an_update_without_values_of_pyoadr_ven() -> None:
    start, end = UPDATE.index(b"<ei:interval>"), UPDATE.index(b"</strm:intervals>")
    empty = UPDATE[:start] + UPDATE[end:]

    parsed = codec.parse_body(empty.replace(b"ei:schemaVersion", b"schemaVersion"))

    assert isinstance(parsed.message, m.UpdateReport)
    assert parsed.message.reports[0].intervals == ()
    assert parsed.tolerances == ("update_without_values", "unqualified_schema_version")
    with pytest.raises(SchemaInvalid):  # from anybody else it is a mistake
        codec.parse(empty)


@pytest.mark.parametrize(("text", "seconds"), [("PT59.9S", 60), ("PT1M0.2S", 60), ("P1DT0.7S", 86_401)])
def test_fractions_of_a_second_are_rounded(text: str, seconds: int) -> None:
    parsed = codec.parse_body(UPDATE.replace(b"PT1M<", text.encode() + b"<"))

    assert isinstance(parsed.message, m.UpdateReport)
    assert parsed.message.reports[0].intervals[0].duration_seconds == seconds
    assert parsed.tolerances == ("fraction_of_a_second",)


def test_any_prefix_names_the_same_thing() -> None:
    assert codec.parse(POLL.replace(b"oadr:", b"p1:").replace(b"xmlns:oadr", b"xmlns:p1")) == m.Poll("VEN-1")


TOLD = codec.serialise(
    m.UpdateReport(
        "R",
        (
            m.Report(
                "RR-1",
                "S",
                datetime(2026, 11, 24, 12, tzinfo=UTC),
                "TELEMETRY_USAGE",
                intervals=(
                    m.ReportInterval(
                        (m.ReportValue("power", 1.5),), datetime(2026, 11, 24, 12, tzinfo=UTC), 300
                    ),
                ),
            ),
        ),
        "VEN-1",
    )
)


@pytest.mark.parametrize(
    "before", [b"<ei:rID>", b"<oadr:oadrReportPayload>", b"<ei:reportName>", b"<ei:venID>"]
)
@pytest.mark.parametrize(
    "extra",
    [b"<oadr:oadrFirmware>7</oadr:oadrFirmware>", b'<x:seal xmlns:x="urn:maker"><x:by>me</x:by></x:seal>'],
)
def test_elements_of_a_makers_own_in_a_report_are_passed_over(before: bytes, extra: bytes) -> None:
    assert TOLD.count(before) == 1

    parsed = codec.parse_body(TOLD.replace(before, extra + before))

    assert parsed.message == codec.parse(TOLD)
    assert parsed.tolerances == ("unknown_report_elements",)


@pytest.mark.parametrize("misplaced", [b"<ei:optID>O</ei:optID>", b"<oadr:oadrPoll/>"])
def test_an_element_that_has_another_place_is_refused_in_a_report(misplaced: bytes) -> None:
    with pytest.raises(SchemaInvalid):
        codec.parse(TOLD.replace(b"<ei:reportName>", misplaced + b"<ei:reportName>"))


def test_elements_of_a_makers_own_are_refused_elsewhere() -> None:
    with pytest.raises(SchemaInvalid):
        codec.parse(POLL.replace(b"<ei:venID>", b"<oadr:oadrFirmware/><ei:venID>"))

"""What of a message reaches the log: never a name, an address, a meter number, a secret or a reading."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from oadr import codec
from oadr import messages as m
from tests.oadr import samples
from vtn import redacting
from vtn.redacting import HIDDEN, outline, redacted, without_values

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
CANARIES = ("Alice", "alice@example.org", "1012345678901", "Station Road", "REG-secret", "51.5", "1234.5")
PERSONAL = m.Target(
    group_names=("Alice Ash",),
    resource_ids=("Alice's charger", "charger-1"),
    party_ids=("Alice",),
    meter_assets=("1012345678901",),
    service_delivery_points=("1012345678901",),
    service_areas=("51.5 -1.2 51.6 -1.2 51.5 -1.4",),
)
FROM_A_HOME = [
    m.CreatePartyRegistration(
        "R1",
        "REG-secret",
        "VEN-1",
        transport_address="alice@example.org",
        ven_name="Alice Ash, 3 Station Road",
    ),
    m.CreateOpt("R1", "Alice", "optOut", "x-Alice is ill", "VEN-1", AT, target=PERSONAL, availability=()),
    m.UpdateReport(
        "R1",
        (
            m.Report(
                "RR-1",
                "RS-1",
                AT,
                report_id="1012345678901",
                intervals=(
                    m.ReportInterval((m.ReportValue("r1", 1234.5),), starts_at=AT, duration_seconds=60),
                ),
            ),
        ),
        "VEN-1",
    ),
    m.Response(m.EiResponse(200, "Alice said so", "Alice"), "VEN-1"),
]


@pytest.mark.parametrize("message", FROM_A_HOME, ids=lambda message: type(message).__name__)
def test_nothing_of_a_person_is_kept(message: m.Message) -> None:
    kept = redacted(codec.serialise(message))

    assert [canary for canary in CANARIES if canary in kept] == []
    assert codec.message_name(message) in kept
    assert "VEN-1" in kept


def test_what_helps_is_kept() -> None:
    message = m.CreateOpt(
        "R1", "O1", "optOut", "overrideStatus", "VEN-1", AT, event=m.QualifiedEventId("E7", 3)
    )

    kept = redacted(codec.serialise(message))

    for word in ("optOut", "overrideStatus", "2026-11-24T12:00:00Z", ">E7<", ">3<", ">O1<"):
        assert word in kept
    assert kept.count("\n") > 5


def test_an_id_made_by_people_is_the_same_digest_each_time() -> None:
    first, second = (redacted(codec.serialise(m.QueryRegistration(name))) for name in ("Alice", "Alice"))
    other = redacted(codec.serialise(m.QueryRegistration("Bob")))

    assert first == second != other


def test_our_own_words_are_shown_in_what_is_ours_alone() -> None:
    body = codec.serialise(m.Response(m.EiResponse(452, "unknown eventID", "R1"), "VEN-1"))

    assert "unknown eventID" in redacted(body, is_ours=True)
    assert "unknown eventID" not in redacted(body)


@given(message=samples.messages)
def test_every_text_left_is_plain_known_or_an_id(message: m.Message) -> None:
    kept = redacted(codec.serialise(message))

    for element in etree.fromstring(kept).iter(etree.Element):
        text = (element.text or "").strip()
        name = etree.QName(element).localname
        assert (
            text in ("", HIDDEN)
            or text.startswith("#")
            or text in redacting.vocabulary()
            or redacting._is_plain(text)
            or (name in redacting.IDS and redacting._MACHINE_ID.fullmatch(text))
        ), (name, text)
        assert name not in redacting.SECRETS or text in ("", HIDDEN)


@pytest.mark.parametrize("body", [b"<oadrPoll>\x00</oadrPoll>", b"\x00<a\x00b\x1b/>\x00", b"\x00"])
def test_what_cannot_be_kept_as_text_is_kept_without(body: bytes) -> None:
    """PostgreSQL refuses a text with NUL in it; a refusal that cannot be written down would be a 500."""
    assert redacted(body).isprintable()


@given(text=st.text(max_size=60), body=st.binary(max_size=80))
def test_what_is_no_xml_keeps_its_tags_alone(text: str, body: bytes) -> None:
    assert "canary" not in outline(f"<a b='canary'>canary{text.replace('<', '').replace('>', '')}".encode())
    assert "canary" not in outline(b"canary" + body.replace(b"<", b""))


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("Element 'oadrVenName': The value 'Al O'Alice' is not so", "Element 'oadrVenName': The value '…'"),
        (
            "Element 'dtstart': 'Alice' is not a valid value of 'xs:dateTime'.",
            "Element 'dtstart': '…' is not",
        ),
        ("not a duration: 'Alice'", "not a duration: '…'"),
        ("Element 'venID': This element is not expected.", "Element 'venID': This element is not expected."),
    ],
)
def test_a_complaint_quotes_no_value(reason: str, kept: str) -> None:
    assert without_values(reason).startswith(kept)
    assert "Alice" not in without_values(reason)

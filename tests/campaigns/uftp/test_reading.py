"""What a message's numbers mean: sign, half-hours on the days the clocks change, the seal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.uftp import reading, wire
from campaigns.uftp.reading import Rejected, Space
from campaigns.uftp_models import UftpSign
from opendsr.kernel.periods import period_count, period_start
from tests.samples import shared_sample

DEVIATION, REDUCTION = UftpSign.DEVIATION, UftpSign.REDUCTION


@pytest.mark.parametrize(
    ("least", "most", "sign", "direction", "size"),
    [
        (-50_000, 0, DEVIATION, "turn_down", 50_000),
        (-50_000, -20_000, DEVIATION, "turn_down", 50_000),
        (0, 30_000, DEVIATION, "turn_up", 30_000),
        (0, 50_000, REDUCTION, "turn_down", 50_000),
        (-30_000, 0, REDUCTION, "turn_up", 30_000),
    ],
)
def test_the_farther_bound_is_asked_and_the_sign_is_the_buyers(
    least: int, most: int, sign: UftpSign, direction: str, size: int
) -> None:
    found = reading.asked({35: Space(True, least, most), 37: Space(True, least, most)}, sign=sign)

    assert (found.direction, found.first, found.profile_w) == (direction, 35, (size, 0, size))
    assert reading.signed_w(size, direction=direction, sign=sign) == (least or most)


@pytest.mark.parametrize(
    "spaces",
    [
        {1: Space(True, -5, 5)},
        {1: Space(True, 5, -5)},
        {1: Space(True, 0, 0)},
        {1: Space(False, -5, 0)},
        {1: Space(True, -5, 0), 2: Space(True, 0, 5)},
    ],
    ids=["both ways", "crossed", "nothing", "only available", "one of each"],
)
def test_what_is_unclear_is_refused(spaces: dict[int, Space]) -> None:
    with pytest.raises(Rejected):
        reading.asked(spaces, sign=DEVIATION)


@given(
    day=st.sampled_from([date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1), date(2026, 12, 1)]),
    profile=st.lists(st.integers(0, 3), min_size=1, max_size=46).filter(any),
    data=st.data(),
)
def test_a_profile_comes_back_from_the_wire_on_every_day(
    day: date, profile: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, period_count(day) - len(profile) + 1))
    starts_at = period_start(day, first)

    told, stretches = reading.isps_of(starts_at, profile, direction="turn_down", sign=DEVIATION)
    parts = [
        wire.part("ISP", {"Power": str(power), "Start": str(at), "Duration": str(length)})
        for at, length, power in stretches
    ]
    back = reading.by_isp(parts, day, reading.power)

    assert told == day
    assert [-back.get(first + number, 0) for number in range(len(profile))] == profile
    assert reading.start_of(day, first) == starts_at


@pytest.mark.parametrize(
    ("day", "isp", "at"),
    [
        (date(2026, 3, 29), 3, datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (date(2026, 3, 29), 46, datetime(2026, 3, 29, 22, 30, tzinfo=UTC)),
        (date(2026, 10, 25), 5, datetime(2026, 10, 25, 1, tzinfo=UTC)),
        (date(2026, 10, 25), 50, datetime(2026, 10, 25, 23, 30, tzinfo=UTC)),
        (date(2026, 11, 23), 35, datetime(2026, 11, 23, 17, tzinfo=UTC)),
        (date(2026, 7, 1), 35, datetime(2026, 7, 1, 16, tzinfo=UTC)),
    ],
)
def test_isps_are_half_hours_of_the_uk_day(day: date, isp: int, at: datetime) -> None:
    assert reading.start_of(day, isp) == at


@pytest.mark.parametrize(
    ("day", "isps"),
    [
        (date(2026, 3, 29), [(47, 1)]),
        (date(2026, 10, 25), [(51, 1)]),
        (date(2026, 12, 1), [(48, 2)]),
        (date(2026, 12, 1), [(0, 1)]),
        (date(2026, 12, 1), [(1, 0)]),
        (date(2026, 12, 1), [(1, 9_999_999_999)]),
        (date(2026, 12, 1), [(3, 2), (4, 1)]),
        (date(2026, 12, 1), []),
    ],
)
def test_isps_that_do_not_exist_or_come_twice_are_refused(day: date, isps: list[tuple[int, int]]) -> None:
    parts = [wire.part("ISP", {"Power": "1", "Start": str(at), "Duration": str(n)}) for at, n in isps]

    with pytest.raises(Rejected) as refused:
        reading.by_isp(parts, day, reading.power)

    assert refused.value.reason in ("ISPs Out Of Bounds", "ISP Conflict")


def test_the_sample_request_is_a_reduction_written_above_zero() -> None:
    """The reason why the sign is asked of each buyer: by the specification's sign it would be turn up."""
    root = wire.read(shared_sample("market-samples/uftp/01-FlexRequest.xml").read_bytes()).root
    spaces = reading.by_isp(root.findall("ISP"), reading.require_market(root), reading.space)

    assert root.get("ServiceType") == "Peak Reduction"
    assert reading.asked(spaces, sign=REDUCTION).direction == "turn_down"
    assert reading.asked(spaces, sign=DEVIATION).direction == "turn_up"


@given(text=st.binary(max_size=200), at=st.integers(0, 263), bit=st.integers(0, 7))
def test_every_bit_of_a_sealed_message_counts(text: bytes, at: int, bit: int) -> None:
    private, public = wire.new_key()
    sealed = bytearray(wire.seal(text, private=private))
    assert wire.unseal(bytes(sealed), public=public) == text

    sealed[at % len(sealed)] ^= 1 << bit

    with pytest.raises(wire.SealRefused):
        wire.unseal(bytes(sealed), public=public)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<SignedMessage",
        b'<!DOCTYPE x [<!ENTITY a "b">]><SignedMessage/>',
        b'<?xml version="1.0" encoding="UTF-7"?><SignedMessage/>',
        b"\xff\xfe<\x00",
        b'<SignedMessage SenderDomain="dso.example.org" SenderRole="DSO" Body="%%%"/>',
        b'<SignedMessage SenderDomain="NO" SenderRole="DSO" Body=""/>',
        b"<FlexRequest/>",
    ],
)
def test_what_is_no_wrapper_is_refused(body: bytes) -> None:
    with pytest.raises(wire.NotUftp):
        wire.unwrap(body)


def test_a_price_is_never_rounded_up_and_a_least_part_never_down() -> None:
    assert f"{reading.pounds(1_234_569):f}" == "12.3456"
    assert f"{reading.least_factor([8_000, 3_000], 1_001):f}" == "0.13"
    assert f"{reading.least_factor([8_000], 8_000):f}" == "1.00"
    assert (
        wire.stamp(datetime(2026, 7, 1, 12, tzinfo=UTC) + timedelta(microseconds=5)) == "2026-07-01T12:00:00Z"
    )

"""How much heat a storage heater is charged with for the comfort that a household asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from campaigns import needs


def heated(needs_said: dict[str, object], *, rated_w: int = 2_500, daily_wh: int = 12_000) -> int:
    return needs.heat_wh(needs.Thing("storage_heater", rated_w, daily_wh, needs_said))


@given(
    st.integers(10, 60),
    st.integers(10, 60),
    st.integers(10, 60),
    st.integers(500, 7_000),
    st.integers(0, 40_000),
)
def test_warmer_is_never_less_heat_and_never_more_than_the_core_holds(
    one: int, other: int, least: int, rated_w: int, daily_wh: int
) -> None:
    less, more = (
        heated({"wanted_c": each / 2, "least_c": least / 2}, rated_w=rated_w, daily_wh=daily_wh)
        for each in sorted((one, other))
    )

    assert 0 <= less <= more <= rated_w * needs.CORE_HOURS
    assert heated({}, rated_w=rated_w, daily_wh=daily_wh) == min(daily_wh, rated_w * needs.CORE_HOURS)


def test_heat_follows_the_comfort_asked_for() -> None:
    # 15 kWh are lost over 280 K h at 19 C, of which 3 kWh are gained; each kelvin of 16 hours is 16 K h more.
    assert heated({}) == heated({"wanted_c": 19, "least_c": 15}) == 12_000
    assert heated({"wanted_c": 21}) == round(15_000 * 312 / 280 - 3_000)
    assert heated({"wanted_c": 17}) == round(15_000 * 248 / 280 - 3_000)
    assert heated({"comfort_hours": "07:00-09:00"}) == round(15_000 * (2 * 13 + 22 * 9) / 280 - 3_000)
    assert heated({"wanted_c": 30, "least_c": 30}) == 17_500
    assert heated({"wanted_c": 7, "least_c": 5}) == 0

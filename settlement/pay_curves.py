"""Pay curves as data: what share of the price is paid for a delivery that fell short. Pure.

A curve is a list of points, delivered percent against paid percent: straight between two points, flat after
the last, nothing before the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from opendsr.kernel.errors import Invalid
from settlement.baselines.rules import Certainty

ONE: Final = Fraction(1)


class CurveInvalid(Invalid):
    """A pay curve's points run backwards, are none, or pay less than nothing."""

    curve: str
    reason: str


class UnknownCurve(Invalid):
    """No pay curve of that name."""

    curve: str
    known: list[str]


@dataclass(frozen=True, slots=True)
class PayCurve:
    """`points` are (delivered %, paid %), rising in both; exact numbers, written as decimals in data."""

    name: str
    title: str
    points: tuple[tuple[Decimal, Decimal], ...]
    source: str
    certainty: Certainty = Certainty.OURS

    def __post_init__(self) -> None:
        if not self.points:
            raise CurveInvalid(curve=self.name, reason="at least one point")
        for (left, low), (right, high) in zip(self.points, self.points[1:], strict=False):
            if right <= left or high < low:
                raise CurveInvalid(curve=self.name, reason="points rise in delivered and never fall in paid")
        if self.points[0][0] < 0 or self.points[0][1] < 0:
            raise CurveInvalid(curve=self.name, reason="no point is below zero")

    def factor(self, delivered: Fraction) -> Fraction:
        """The share of the price paid when `delivered` (1 is all) of what was instructed came."""
        pct = delivered * 100
        left, low = self.points[0]
        if pct < Fraction(left):
            return Fraction(0)
        for right, high in self.points[1:]:
            if pct < Fraction(right):
                along = (pct - Fraction(left)) / (Fraction(right) - Fraction(left))
                return (Fraction(low) + along * (Fraction(high) - Fraction(low))) / 100
            left, low = right, high
        return Fraction(low) / 100

    def as_data(self) -> dict[str, object]:
        """Plain JSON; `curve_from` reads it back unchanged."""
        return {
            "name": self.name,
            "title": self.title,
            "points": [[f"{x.normalize():f}", f"{y.normalize():f}"] for x, y in self.points],
            "source": self.source,
            "certainty": self.certainty.value,
        }


def curve_from(data: str | Mapping[str, Any]) -> PayCurve:
    """A preset by name, or a curve written out as data; raises UnknownCurve, CurveInvalid."""
    if isinstance(data, str):
        if data not in CURVES:
            raise UnknownCurve(curve=data, known=sorted(CURVES))
        return CURVES[data]
    try:
        points = tuple((Decimal(str(x)), Decimal(str(y))) for x, y in data["points"])
        return PayCurve(
            name=str(data["name"]),
            title=str(data.get("title", data["name"])),
            points=points,
            source=str(data.get("source", "")),
            certainty=Certainty(str(data.get("certainty", Certainty.OURS.value))),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CurveInvalid(curve=str(data.get("name", "?")), reason=str(error)) from error


def delivered_share(delivered_wh: int, instructed_wh: int) -> Fraction:
    """Delivered as a share of instructed, never below zero; all when nothing was instructed."""
    return Fraction(max(delivered_wh, 0), instructed_wh) if instructed_wh > 0 else ONE


def _points(*points: Sequence[str]) -> tuple[tuple[Decimal, Decimal], ...]:
    return tuple((Decimal(x), Decimal(y)) for x, y in points)


FLAT: Final = PayCurve(
    name="flat",
    title="What was delivered, at the full price",
    points=_points(("0", "100")),
    source="No curve in the contract",
)
FLEXIBLE_POWER_2018: Final = PayCurve(
    name="flexible_power_2018",
    title="Flexible Power 2018: full pay from 95 %, 3 points less a point below, nothing below 63 %",
    points=_points(("63", "4"), ("95", "100")),
    source="WPD Flexible Power, theenergyst.com 2018; grace and slope differ by contract",
    certainty=Certainty.READ,
)
CURVES: Final[Mapping[str, PayCurve]] = {curve.name: curve for curve in (FLAT, FLEXIBLE_POWER_2018)}

"""A virtual hub's connection may go at any moment, also between hearing something and answering it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hems.fleet_life import AnswerPushed, Life
from hems.fleet_loop import Broken, HttpCarrier


class GoneCarrier(HttpCarrier):
    """One whose connection has gone."""

    __slots__ = ()

    def answer_pushed(self, answer: AnswerPushed) -> None:
        raise Broken("no connection")


def test_an_answer_without_a_connection_is_left_and_life_goes_on() -> None:
    woken: list[float] = []
    loop = SimpleNamespace(wake=lambda carrier, seconds: woken.append(seconds))

    def life() -> Any:
        yield AnswerPushed(b"<oadrResponse/>", cast(Any, None))
        yield SimpleNamespace(seconds=7.0)

    carrier = GoneCarrier(cast(Any, loop), cast(Any, None), cast(Life, life()), cast(Any, None))

    carrier.go_on(None)

    assert woken == [7.0]

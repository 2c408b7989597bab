"""Archives: what is left out is never read, and those of the first format still are."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import UTC, date, datetime, time

import numpy as np
import pytest

from settlement import archiving, gathering
from settlement.archiving import ArchiveBroken
from settlement.models import SettlementRun, SettlementTerms
from settlement.reckoning import Input, reckon
from tests.settlement.staging import (
    AFTER,
    HISTORY,
    State,
    make_stage,
    make_terms,
    settle,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db


def make_input(rule: str) -> Input:
    """Two homes that were in another event on one of the days looked at, one of them with a missing day."""
    published = make_terms(baseline_rule=rule)
    earlier = make_stage(*[State.OPTED_IN] * 2, published=published, starts_at=_at(HISTORY[-4]))
    stage = make_stage(*[State.OPTED_IN] * 2, published=published, residents=earlier.residents)
    one, other = stage.residents
    store_history(one, usual_wh=40_000)
    store_history(other, days=HISTORY[:-4], usual_wh=-300)
    for resident in stage.residents:
        store_event(resident, 5, 0, 200, 70_000)
    return gathering.gather(stage.campaign, SettlementTerms.objects.get(pk=published.pk), known_at=AFTER)


def _at(day: date) -> datetime:
    return datetime.combine(day, time(17), UTC)


def of_first_format(data: bytes, given: Input) -> bytes:
    """The same stretch as the first format had it: every day told, numbers in one piece, all of it packed."""
    size = int(struct.unpack_from("<I", data, len(archiving.MAGIC))[0])
    start = len(archiving.MAGIC) + 4
    body = zlib.decompress(data[start : start + size])
    head_size, homes = struct.unpack_from("<II", body)
    head = json.loads(body[8 : 8 + head_size])
    again = archiving.unpack(data)
    slots = np.array(head["slots"])
    rows, index = np.arange(len(slots))[:, None], np.maximum(slots, 0)
    present = again.cube.present[:, rows, index] & (slots >= 0)
    values = np.where(present, again.cube.net_wh[:, rows, index], 0).astype(head["kind"])
    told = (homes * len(head["told"]) * slots.shape[1] + 7) // 8
    higher = homes * len(head["told"]) * slots.shape[1] * (np.dtype(head["kind"]).itemsize - 1)
    middle = body[8 + head_size : len(body) - told - higher]
    del head["told"], head["holds_unearned"]
    text = json.dumps({**head, "format": 1}, sort_keys=True, separators=(",", ":")).encode()
    whole = (
        struct.pack("<II", len(text), homes),
        text,
        middle,
        np.packbits(present).tobytes(),
        values.tobytes(),
    )
    return zlib.compress(b"".join(whole))


@pytest.mark.parametrize("rule", ["dfs_2023_domestic", "dfs_2022", "pjm_4_of_5", "iso_ne_90_10", "zero"])
def test_what_is_unpacked_reckons_to_the_same_by_either_format(rule: str) -> None:
    given = make_input(rule)
    result = reckon(given)
    ((_, homes, data),) = archiving.packed(given)

    assert homes == 2
    for kept in (data, of_first_format(data, given)):
        again = reckon(archiving.unpack(kept))
        assert (again.input_sha256, again.result_sha256) == (result.input_sha256, result.result_sha256)


def test_a_day_on_which_every_home_was_in_an_event_is_not_kept() -> None:
    given = make_input("dfs_2023_domestic")
    ((_, _, data),) = archiving.packed(given)

    cube = archiving.unpack(data).cube

    place = list(cube.days).index(HISTORY[-4])
    assert given.cube.present[:, list(given.cube.days).index(HISTORY[-4])].any()
    assert not cube.present[:, place].any()
    assert cube.present[:, place - 1].any()


@pytest.mark.parametrize("data", [b"", b"OpenDSR2", b"OpenDSR2\x04\0\0\0abcd", b"nothing of ours"])
def test_what_is_no_archive_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ArchiveBroken):
        archiving.unpack(data)


def test_a_run_keeps_its_archive_in_the_newest_format() -> None:
    stage = make_stage(State.OPTED_IN)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 0, 0, 0, 0)

    run = settle(stage).run

    assert bytes(SettlementRun.objects.get(pk=run.pk).archive.get().data).startswith(archiving.MAGIC)

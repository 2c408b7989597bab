"""A notice's facts, from the sealed JSON of its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from notices.models import Notice
from opendsr.kernel import plain
from opendsr.kernel.sealed_field import ERASED


def of(notice: Notice) -> dict[str, Any]:
    """What the words are made from; empty once the member was erased."""
    if notice.facts in ("", ERASED):
        return {}
    told = json.loads(notice.facts)
    return told if isinstance(told, dict) else {}


def written(facts: Mapping[str, object]) -> str:
    """The JSON that is sealed: instants, ids and decimals as text."""
    return json.dumps(plain.json_object(facts), ensure_ascii=False, sort_keys=True)

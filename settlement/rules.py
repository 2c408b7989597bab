"""The baseline package's rules with this room's errors, for terms and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opendsr.kernel.errors import Invalid
from settlement.baselines import errors, presets
from settlement.baselines.control_group import ControlGroup
from settlement.baselines.rules import BaselineRule, Method

# Nothing keeps nominations yet, so no programme can be settled by them.
NOT_FOR_TERMS: Final = frozenset({Method.NOMINATED})
CONTROL_GROUP: Final = ControlGroup(like=presets.DFS_2023_DOMESTIC)


class UnknownRule(Invalid):
    """No preset of that name."""

    rule: str
    known: list[str]


class RuleInvalid(Invalid):
    """A baseline rule contradicts itself or has a parameter that does not exist."""

    rule: str
    parameter: str
    reason: str


class RuleNeedsMore(Invalid):
    """The rule needs an input that the co-op does not keep, so programmes cannot be settled by it."""

    rule: str
    input: str


def preset(name: str, parameters: Mapping[str, object] | None = None) -> BaselineRule:
    """The preset of that name with parameters changed; raises UnknownRule, RuleInvalid."""
    try:
        return presets.preset(name, parameters)
    except errors.UnknownRule as error:
        raise UnknownRule(**error.data) from error
    except errors.RuleInvalid as error:
        raise RuleInvalid(**error.data) from error


def preset_for_terms(name: str, parameters: Mapping[str, object] | None = None) -> BaselineRule:
    """The preset, if programmes can be settled by it; raises RuleNeedsMore besides."""
    rule = preset(name, parameters)
    if rule.method in NOT_FOR_TERMS:
        raise RuleNeedsMore(rule=name, input="nominations")
    return rule


def for_study(name: str) -> BaselineRule | ControlGroup:
    """What a placebo study can measure by that name: rules that programmes can be settled by, and the control
    group. Raises UnknownRule, RuleNeedsMore.
    """
    return CONTROL_GROUP if name == CONTROL_GROUP.name else preset_for_terms(name)


def study_from_data(data: Mapping[str, Any]) -> BaselineRule | ControlGroup:
    """What a study was asked for, as its record keeps it."""
    return (
        ControlGroup.from_data(data) if data["name"] == CONTROL_GROUP.name else BaselineRule.from_data(data)
    )

"""Rules over arriving messages, as data: what to drop, change, wave through or raise an alarm on. Pure.

A rule is `{"id", "match": {"source", "type", "field", "op", "value"}, "then", ...}`; every part of `match`
may be left out and then matches all. Fields are dotted paths into the message. Rules run in order: `drop` and
`store` end it, `reshape` changes a field (set, scale, offset, rename) and goes on, `alarm` tells and goes on,
`keep` keeps a copy for looking at and goes on. A message that no rule ends is stored.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from opendsr.kernel.errors import Invalid

MOST_RULES: Final = 200
NAME_CHARACTERS: Final = 40
DEEPEST: Final = 8
THENS: Final = ("drop", "reshape", "store", "alarm", "keep")
COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
OPS: Final = ("=", "!=", "exists", "missing", *COMPARE)
RESHAPES: Final = ("set", "scale", "offset", "rename")


class RuleInvalid(Invalid):
    """A rule that cannot be: which one, which part, what is there and what may be."""

    rule: str
    field: str
    value: object
    expected: str


@dataclass(frozen=True, slots=True)
class Reshape:
    """How a field is changed: set, scale, offset or rename."""

    how: str
    path: tuple[str, ...]
    argument: Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked."""

    id: str
    source: str
    type: str
    path: tuple[str, ...]
    op: str
    value: object
    then: str
    reshape: Reshape | None
    text: str

    def matches(self, source: str, type: str, body: Mapping[str, Any]) -> bool:
        """Whether the message is one this rule speaks of."""
        if self.source not in ("*", source) or not fnmatchcase(type, self.type):
            return False
        if not self.path:
            return True
        found = _get(body, self.path)
        if self.op in ("exists", "missing"):
            return (found is not None) == (self.op == "exists")
        if self.op in ("=", "!="):
            return _same(found, self.value) == (self.op == "=")
        number, threshold = as_number(found), as_number(self.value)
        return number is not None and threshold is not None and COMPARE[self.op](number, threshold)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: its body to store, None when dropped; the rules that matched, and why."""

    body: dict[str, Any] | None
    hits: tuple[str, ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of a version, in order."""

    version: int
    rules: tuple[Rule, ...]

    def speaks_of(self, source: str) -> bool:
        """Whether any rule may match messages of the source; where none does, nothing need be looked at."""
        return any(rule.source in ("*", source) for rule in self.rules)

    def apply(self, source: str, type: str, body: Mapping[str, Any]) -> Outcome:
        """Run the rules; the body given is not changed."""
        now: dict[str, Any] = dict(body)
        hits: list[str] = []
        alarms: list[tuple[str, str]] = []
        kept: list[str] = []
        copied = False
        for rule in self.rules:
            if not rule.matches(source, type, now):
                continue
            hits.append(rule.id)
            if rule.then == "drop":
                return Outcome(None, tuple(hits), tuple(alarms), tuple(kept))
            if rule.then == "store":
                break
            if rule.then == "alarm":
                alarms.append((rule.id, rule.text))
            elif rule.then == "keep":
                kept.append(rule.id)
            else:
                if not copied:
                    now, copied = deepcopy(now), True
                _reshape(now, rule)
        return Outcome(now, tuple(hits), tuple(alarms), tuple(kept))


def rule_book(rules: object, *, version: int = 0) -> RuleBook:
    """The rules of a JSON list, each checked; raises RuleInvalid naming the rule and its part."""
    if not isinstance(rules, list) or len(rules) > MOST_RULES:
        raise RuleInvalid(
            rule="", field="rules", value=str(rules)[:80], expected=f"a list of up to {MOST_RULES}"
        )
    checked = [_rule(rule, place) for place, rule in enumerate(rules, start=1)]
    names = [rule.id for rule in checked]
    for name in names:
        if names.count(name) > 1:
            raise RuleInvalid(rule=name, field="id", value=name, expected="a name no other rule has")
    return RuleBook(version, tuple(checked))


NO_RULES: Final = RuleBook(0, ())


def _rule(rule: object, place: int) -> Rule:
    shown = f"rule {place}"
    if not isinstance(rule, dict):
        raise RuleInvalid(rule=shown, field="rule", value=str(rule)[:80], expected="an object")
    name = rule.get("id")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARACTERS:
        raise RuleInvalid(
            rule=shown, field="id", value=name, expected=f"a name of up to {NAME_CHARACTERS} characters"
        )
    unknown = set(rule) - {"id", "match", "then", "field", "text", "note", *RESHAPES}
    if unknown:
        raise RuleInvalid(
            rule=name, field=min(map(str, unknown)), value="", expected="no such part; see the help"
        )
    match = rule.get("match", {})
    if not isinstance(match, dict) or set(match) - {"source", "type", "field", "op", "value"}:
        raise RuleInvalid(
            rule=name, field="match", value=str(match)[:80], expected="source, type, field, op, value"
        )
    for part in ("source", "type"):
        if not isinstance(match.get(part, "*"), str):
            raise RuleInvalid(rule=name, field=part, value=match[part], expected="text")
    then = rule.get("then")
    if then not in THENS:
        raise RuleInvalid(rule=name, field="then", value=then, expected=", ".join(THENS))
    path = _path(match["field"], name) if "field" in match else ()
    op = match.get("op", "exists" if path else "=")
    if op not in OPS:
        raise RuleInvalid(rule=name, field="op", value=op, expected=", ".join(OPS))
    if op in COMPARE and as_number(match.get("value")) is None:
        raise RuleInvalid(rule=name, field="value", value=match.get("value"), expected=f"a number for {op}")
    if path and op in ("=", "!=") and "value" not in match:
        raise RuleInvalid(rule=name, field="value", value=None, expected="what to compare with")
    reshape = None
    if then == "reshape":
        chosen = [(how, rule[how]) for how in RESHAPES if how in rule]
        if len(chosen) != 1:
            raise RuleInvalid(
                rule=name, field="then", value="reshape", expected=f"one of {', '.join(RESHAPES)}"
            )
        how, argument = chosen[0]
        if how in ("scale", "offset") and as_number(argument) is None:
            raise RuleInvalid(rule=name, field=how, value=argument, expected="a number")
        if how == "rename":
            argument = _path(argument, name)
        path_of_change = _path(rule["field"], name) if "field" in rule else path
        if not path_of_change:
            raise RuleInvalid(rule=name, field="field", value=None, expected="the field to change")
        reshape = Reshape(how, path_of_change, argument)
    return Rule(
        id=name,
        source=match.get("source", "*"),
        type=match.get("type", "*"),
        path=path,
        op=op,
        value=match.get("value"),
        then=then,
        reshape=reshape,
        text=str(rule.get("text", ""))[:200],
    )


def _path(field: object, name: str) -> tuple[str, ...]:
    parts = tuple(field.split(".")) if isinstance(field, str) else ()
    if not parts or len(parts) > DEEPEST or not all(parts):
        raise RuleInvalid(rule=name, field="field", value=field, expected="a path such as power.value")
    return parts


def _get(body: object, path: Sequence[str]) -> object:
    for part in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(part)
    return body


def _put(body: dict[str, Any], path: Sequence[str], value: object) -> None:
    for part in path[:-1]:
        inner = body.get(part)
        if not isinstance(inner, dict):
            inner = body[part] = {}
        body = inner
    body[path[-1]] = value


def _reshape(body: dict[str, Any], rule: Rule) -> None:
    """Change the field; one that is absent or not a number is left as it is by scale, offset and rename."""
    assert rule.reshape is not None  # noqa: S101 - only reshaping rules come here
    how, path, argument = rule.reshape.how, rule.reshape.path, rule.reshape.argument
    if how == "set":
        _put(body, path, argument)
        return
    found = _get(body, path)
    if how == "rename":
        if found is not None:
            _put(body, path, None)
            _put(body, argument, found)
        return
    number = as_number(found)
    if number is not None:
        change = as_number(argument) or 0.0
        _put(body, path, number * change if how == "scale" else number + change)


def _same(found: object, value: object) -> bool:
    numbers = as_number(found), as_number(value)
    return numbers[0] == numbers[1] if None not in numbers else found == value


def as_number(value: object) -> float | None:
    """The finite number that a value of a message is or says; None for any other."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None

"""What can be wrong with a rule or its input; each error carries data, not prose alone."""

from __future__ import annotations


class BaselineError(ValueError):
    """Base of every anticipated error of the package; `data` names what is wrong."""

    def __init__(self, **data: object) -> None:
        super().__init__(", ".join(f"{name}={value}" for name, value in data.items()))
        self.data = data


class UnknownRule(BaselineError):
    """No preset of that name: `rule`, `known`."""


class RuleInvalid(BaselineError):
    """A rule contradicts itself or has a parameter that does not exist: `rule`, `parameter`, `reason`."""


class DayNotLoaded(BaselineError, LookupError):
    """The cube lacks a `day` the rule has to look at; an empty day must be there, masked."""


class InputMissing(BaselineError):
    """The rule needs an `input` that was not given, such as a nomination: `rule`, `input`."""

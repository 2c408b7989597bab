"""Anticipated errors of the domain: each carries data, not prose.

Every service module declares its own subclasses; the edges (page middleware, API exception handler, VTN) turn
them once into an answer by `status`, `code` and `data`. Anything else that is raised is a bug and propagates.
"""

from __future__ import annotations

import re
from functools import partial
from typing import ClassVar

WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class DomainError(Exception):
    """Base of every anticipated error; keyword data only: `raise ConsentMissing(member="M-0003")`.

    `status` is the HTTP status the edges answer with, `code` the snake_case class name. A subclass may
    annotate its data (`member: str`) so that `error.member` is typed.
    """

    status: ClassVar[int] = 409
    code: ClassVar[str] = "domain_error"

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = WORD_BOUNDARY.sub("_", cls.__name__).lower()

    def __init__(self, **data: object) -> None:
        super().__init__()
        self.data: dict[str, object] = data

    def __getattr__(self, name: str) -> object:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} carries no {name!r}") from None

    def __str__(self) -> str:
        words = self.code.replace("_", " ")
        shown = ", ".join(f"{name}={value}" for name, value in self.data.items())
        return f"{words}: {shown}" if shown else words

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.data.items())
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), **self.data), ()


class NotFound(DomainError):
    """No such thing inside the identity that asks (never says whether it exists for somebody else)."""

    status = 404


class NotAllowed(DomainError):
    """The caller is known and the thing visible, but this caller may not do this to it."""

    status = 403


class Invalid(DomainError):
    """The input is well formed but breaks a rule of the domain."""

    status = 422

"""Every address of the site, from its own URL map, with arguments of a scene's things put into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter
from django.urls.resolvers import RoutePattern
from django.utils.regex_helper import normalize

NOBODYS: Final[Mapping[type, Any]] = {UUIDConverter: uuid4(), IntConverter: 999_999}


@dataclass(frozen=True, slots=True)
class Address:
    """An address: `name` is the URL's, or the view's where it has none; its parts have places to fill."""

    name: str
    parts: tuple[Any, ...]
    view: Any

    def path(self, things: Mapping[str, Any]) -> str:
        """The address with its arguments filled from things, by `name.argument` or by argument."""
        return "/" + "".join(_filled(part, self.name, things) for part in self.parts)

    @property
    def is_of_records(self) -> bool:
        """True for the stock admin's pages of one model."""
        return getattr(self.view, "model_admin", None) is not None

    def __str__(self) -> str:
        return self.name


def addresses() -> list[Address]:
    """Every address that the resolver knows, in its order."""
    return list(_walk(get_resolver(), (), ""))


def _walk(resolver: URLResolver, parts: tuple[Any, ...], namespace: str) -> Iterator[Address]:
    for each in resolver.url_patterns:
        here = (*parts, each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each, here, f"{namespace}{each.namespace}:" if each.namespace else namespace)
        elif isinstance(each, URLPattern):
            view = each.callback
            bare = f"{view.__module__}.{getattr(view, '__qualname__', type(view).__name__)}"
            yield Address(f"{namespace}{each.name or bare}", here, view)


def _filled(part: Any, name: str, things: Mapping[str, Any]) -> str:
    if isinstance(part, RoutePattern):
        written = str(part)
        for argument, converter in part.converters.items():
            nobodys = NOBODYS.get(type(converter), "x")
            value = converter.to_url(things.get(f"{name}.{argument}", things.get(argument, nobodys)))
            written = re.sub(rf"<(\w+:)?{argument}>", lambda _, value=value: str(value), written)
        return written
    pattern = part.regex.pattern
    if pattern in ("", "^/"):
        return str(pattern).strip("^")
    template, arguments = normalize(pattern)[0]
    return str(template) % {
        each: things.get(f"{name}.{each}", things.get(each, "0123456789abcdef")) for each in arguments
    }
